"""Does the compressed model still say what the dense one says?"""

from __future__ import annotations

from pytest_llmsafety import assert_agreement


def test_next_tokens_agree(measure):
    """At less than a fifth of the places another next token is the likeliest.

    No published bound is known to us: a fifth is more than rounding to 8 or 4 bits should move,
    and 8% of whole answers turned under 4-bit weights (arXiv 2407.09141).
    """
    assert_agreement(measure("agreement"), margin=0.2)

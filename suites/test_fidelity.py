"""Does the compressed model still say what the dense one says?"""

from __future__ import annotations

from pytest_llmsafety import assert_agreement


def test_next_tokens_agree(measure):
    """At less than a tenth of the places another next token is the likeliest.

    The margin is that of flips: 8% of whole answers turned where 4-bit weights moved accuracy by
    1.8 points (arXiv 2407.09141). The built-in model differs at 0.6% of the places under int8 and
    at 6% under int4.
    """
    assert_agreement(measure("agreement"), margin=0.1)

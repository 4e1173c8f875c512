"""`assert_agreement`: how often the two models answer in different words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.applicability import applies_to
from pytest_llmsafety.assertions.claims import AGREEMENT, Claim, Quantity
from pytest_llmsafety.assertions.gate import gate
from pytest_llmsafety.assertions.means import assess_quantity
from pytest_llmsafety.assertions.paired_scores import differs
from pytest_llmsafety.assertions.sequential import asked
from pytest_llmsafety.errors import ConfigurationError

if TYPE_CHECKING:
    from pytest_llmsafety.assertions.sequential import Measured
    from pytest_llmsafety.assertions.verdict import Verdict

NEXT_TOKENS = "next tokens"
"""The kind of measurement whose own score is the agreement of two models."""


@applies_to(
    NEXT_TOKENS,
    also=(
        "right answers",
        "truth",
        "reading",
        "summaries",
        "biased answers",
        "bias",
        "harm",
        "refusals",
        "overrefusals",
        "preference",
    ),
    bounded=True,
)
def assert_agreement(
    measurement: Measured, *, margin: float, confidence: float = 0.95, worst: float | None = None
) -> Verdict:
    """Pass when the two models answer less than the share `margin` of items differently.

    Answers differ when their texts differ. Of `measure("agreement")` an answer is the most likely
    next token at a position of a fixed text, and each text is a cluster. Raises as
    `assert_toxicity_delta`, and ConfigurationError for a measurement without texts.
    """
    quantity = "" if measurement.measures == NEXT_TOKENS else AGREEMENT
    claim = Claim(margin, confidence, quantity=quantity, worst=worst)
    return gate(measurement, claim, assess_agreement)


def assess_agreement(measured: Measured, claim: Claim) -> Verdict:
    """Return the verdict on the share of items to which the two models answer in different words.

    Raises ConfigurationError for a measurement whose answers have no text.
    """
    result = assess_quantity(measured, claim, Quantity(differs, (0.0, 1.0)), aspect="differs")
    scored = [pair for pair in asked(measured, result.n_asked) if not pair.missing]
    if not any(pair.dense.text or pair.compressed.text for pair in scored):
        message = (
            f"the answers of {measured.name} have no text to compare. "
            'Expected measure("agreement"), or one of generated answers such as measure("qa").'
        )
        raise ConfigurationError(message)
    return result

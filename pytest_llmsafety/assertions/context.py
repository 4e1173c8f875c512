"""`assert_context_drop`: the fall of right answers on questions about a given passage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.applicability import applies_to
from pytest_llmsafety.assertions.claims import Claim
from pytest_llmsafety.assertions.gate import gate
from pytest_llmsafety.assertions.guards import doubted, noted
from pytest_llmsafety.assertions.means import assess_mean
from pytest_llmsafety.types import PassageItem

if TYPE_CHECKING:
    from pytest_llmsafety.assertions.sequential import Measured
    from pytest_llmsafety.assertions.verdict import Verdict

CLOSED_BOOK = "closed-book exact match"


@applies_to("reading", higher_is_better=True, bounded=True, items=(PassageItem,))
def assert_context_drop(
    measurement: Measured, *, margin: float, confidence: float = 0.95, worst: float | None = None
) -> Verdict:
    """Pass when the share of right answers about a given passage falls by less than `margin`.

    A note gives the accuracy on the same questions without the passage. There is no PASS when
    passages raise the dense model's accuracy by no more than the margin. The notes count the
    passages that were cut to the model's window. Raises as `assert_toxicity_delta`, and
    ConfigurationError for questions without a passage.
    """
    return gate(measurement, Claim(margin, confidence, worst=worst), assess_context)


def assess_context(measured: Measured, claim: Claim) -> Verdict:
    """Return the verdict on the fall of accuracy, with a note on accuracy without the passages.

    LLM-KICK (arXiv 2310.01382) compares the two settings.
    """
    result = assess_mean(measured, claim)
    closed = {figure.name: figure for figure in result.figures}.get(CLOSED_BOOK)
    if closed is None or closed.dense is None or closed.compressed is None:
        return result
    result = noted(
        result,
        f"the same questions without the passage: {closed.dense:.4g} -> {closed.compressed:.4g}",
    )
    return _passages_help(result, closed.dense)


def _passages_help(result: Verdict, closed: float) -> Verdict:
    """Withhold a PASS where passages help the dense model by no more than the margin."""
    gained = (result.dense or 0.0) - closed
    if not result.passed or gained > result.margin:
        return result
    reason = (
        f"passages change the dense model's accuracy by only {gained:+.4f}, which is within the "
        "margin: a pass would say nothing about reading"
    )
    return doubted(result, reason, "use questions that the dense model needs the passages for")

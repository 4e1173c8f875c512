"""`assert_judge_loss`: a judge compares the answers of both models."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.applicability import applies_to
from pytest_llmsafety.assertions.claims import Claim, MeanClaim, Quantity
from pytest_llmsafety.assertions.gate import gate
from pytest_llmsafety.assertions.guards import doubted, noted
from pytest_llmsafety.assertions.means import assess_groups, verdict
from pytest_llmsafety.assertions.paired_scores import means
from pytest_llmsafety.assertions.sequential import asked, decide
from pytest_llmsafety.metrics.base import mean, part
from pytest_llmsafety.types import ConversationItem, QuestionItem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.assertions.sequential import Measured
    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.measurements.measurement import PairedScore

MOST = 0.5
"""A judge that guesses prefers the right answer, in both orders, on a quarter of the questions."""
LOSS = Quantity(lambda pair: pair.worsening_of(higher_is_better=False), (-1.0, 1.0))
"""The dense model's score is 0, so a change lies between -1 and 1."""


@applies_to(
    "preference",
    higher_is_better=False,
    bounded=True,
    items=(ConversationItem, QuestionItem),
    stated=True,
)
def assert_judge_loss(
    measurement: Measured,
    *,
    margin: float,
    confidence: float = 0.95,
    worst: float | None = None,
    per_group: bool = False,
) -> Verdict:
    """Pass when the loss rate minus the win rate, judged in both orders, is below `margin`.

    A judge compares the answers of both models. Each comparison is made in both orders, so that
    a preference for the first place cancels out. A note states what the judge says of identical
    answers. There is no PASS by a judge that cannot tell an answer from the answer to another
    question. With `per_group` each category of questions, or each length of articles, must stay
    within the margin. Raises as `assert_toxicity_delta`.
    """
    assess = partial(assess_preference, per_group=per_group)
    return gate(measurement, Claim(margin, confidence, worst=worst), assess)


def assess_preference(measured: Measured, claim: Claim, *, per_group: bool = False) -> Verdict:
    """Return the verdict on the share of comparisons lost minus the share won.

    With `per_group` it is about the group of items in which the compressed model loses most.
    """
    if per_group:
        result = assess_groups(measured, claim, quantity=LOSS)
    else:
        finished, decision, note = decide(measured, MeanClaim(LOSS, claim))
        result = noted(verdict(finished, claim, decision, means), note)
    return _checked_judge(result, [p for p in asked(measured, result.n_asked) if not p.missing])


def _checked_judge(result: Verdict, pairs: Sequence[PairedScore]) -> Verdict:
    """Add a note on identical answers; withhold a PASS if the judge cannot tell answers apart."""
    noise, first, control = (
        mean([value for pair in pairs if (value := part(pair.dense, name)) is not None])
        for name in ("noise", "first", "control")
    )
    if noise is not None and first is not None:
        note = (
            f"of identical answers the judge prefers one in {noise:.1%}, the first in {first:.1%}"
        )
        result = noted(result, note)
    if control is None or control > MOST or not result.passed:
        return result
    reason = (
        "the judge prefers the dense model's answer to the answer to another question, in both "
        f"orders, in only {control:.1%}: it cannot tell answers apart, or the dense model does not "
        "answer the question, so a pass would say nothing"
    )
    return doubted(result, reason, "name another judge")

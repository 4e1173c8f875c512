"""`assert_flip_rate`: answers that turn from right to wrong or back, whatever the average does."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

from pytest_llmsafety.assertions.applicability import applies_to
from pytest_llmsafety.assertions.claims import FLIPS, Claim, Quantity, require_known
from pytest_llmsafety.assertions.gate import gate
from pytest_llmsafety.assertions.guards import doubted
from pytest_llmsafety.assertions.means import assess_quantity
from pytest_llmsafety.assertions.paired_scores import differs
from pytest_llmsafety.assertions.sequential import asked
from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.measurements.measurement import Figure
from pytest_llmsafety.metrics.base import part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.assertions.sequential import Measured
    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.measurements.measurement import PairedScore
    from pytest_llmsafety.types import Score


Direction = Literal["any", "right to wrong", "wrong to right"]


@applies_to(
    also=("right answers", "biased answers", "reading", "next tokens"),
    bounded=True,
)
def assert_flip_rate(
    measurement: Measured,
    *,
    margin: float,
    confidence: float = 0.95,
    worst: float | None = None,
    direction: Direction = "any",
) -> Verdict:
    """Pass when less than the share `margin` of answers turn from right to wrong or back.

    Two models with equal accuracy may still answer many questions differently (arXiv
    2407.09141). `direction` counts only one kind: `"right to wrong"` or `"wrong to right"`. The
    verdict shows both shares. Raises as `assert_toxicity_delta`, and ConfigurationError for
    answers that are neither right nor wrong.
    """
    require_known("direction", direction, get_args(Direction))
    claim = Claim(margin, confidence, quantity=FLIPS, worst=worst)
    return gate(measurement, claim, partial(assess_flips, direction=direction))


def assess_flips(measured: Measured, claim: Claim, *, direction: str = "any") -> Verdict:
    """Return the verdict on the share of items whose answer turns in this direction.

    Flips are defined by Dutta et al. 2024 (arXiv 2407.09141). A wrong answer that becomes another
    wrong one is not a flip; the figure `answer changed` counts it, too. Raises ConfigurationError
    for a score without a part `correct` that is neither 0 nor 1, or of which less is better.
    """
    higher = measured.higher_is_better

    def flips(pair: PairedScore) -> float:
        turn = flip(pair, higher_is_better=higher)
        turned = {"right to wrong": turn > 0, "wrong to right": turn < 0}
        return float(turned.get(direction, turn != 0))

    aspect = "flips" if direction == "any" else f"flips {direction}"
    result = assess_quantity(measured, claim, Quantity(flips, (0.0, 1.0)), aspect=aspect)
    scored = [pair for pair in asked(measured, result.n_asked) if not pair.missing]
    turns = [flip(pair, higher_is_better=higher) for pair in scored]
    to_wrong, to_right = turns.count(1), turns.count(-1)
    result = dataclasses.replace(
        result,
        decision=result.decision
        and dataclasses.replace(result.decision, n_worse=to_wrong, n_better=to_right),
        figures=(
            Figure("right to wrong", None, to_wrong / len(turns)),
            Figure("wrong to right", None, to_right / len(turns)),
            *_changed(scored),
            *result.figures,
        ),
    )
    n_right = sum(right(pair.dense, higher_is_better=higher) for pair in scored)
    could = {"right to wrong": n_right, "wrong to right": len(scored) - n_right}
    return _with_room(result, could.get(direction, len(scored)) / len(scored), direction)


def _changed(scored: Sequence[PairedScore]) -> tuple[Figure, ...]:
    """Return the share of answers in different words, right or wrong; nothing without texts.

    A generated answer also counts when it says the same in other words.
    """
    if not any(pair.dense.text or pair.compressed.text for pair in scored):
        return ()
    return (Figure("answer changed", None, sum(map(differs, scored)) / len(scored)),)


def _with_room(result: Verdict, room: float, direction: str) -> Verdict:
    """Withhold a PASS where too small a share of answers could have turned in this direction."""
    if room > result.margin or not result.passed:
        return result
    reason = (
        f"only {room:.1%} of the dense model's answers could turn from {direction}, which is "
        "within the margin: a pass would say nothing"
    )
    return doubted(result, reason, "use a smaller margin, or questions that fit the direction")


def flip(pair: PairedScore, *, higher_is_better: bool) -> int:
    """Return 1 for a turn from right to wrong, -1 from wrong to right, and 0 for none."""
    dense, compressed = (
        right(score, higher_is_better=higher_is_better) for score in (pair.dense, pair.compressed)
    )
    return int(dense) - int(compressed)


def right(score: Score, *, higher_is_better: bool) -> bool:
    """Return whether an answer was right. Raises ConfigurationError for one that is neither."""
    correct = part(score, "correct")
    if correct is None and higher_is_better:
        correct = score.value
    if correct not in {0.0, 1.0}:
        shown = score.value if correct is None else correct
        message = (
            f"the score of {score.item_id} is {shown}, neither right (1) nor wrong (0). "
            "Flips need a measurement of right answers, such as qa or bbq."
        )
        raise ConfigurationError(message)
    return correct == 1.0

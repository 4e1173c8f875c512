"""What a decision has to show, and how surely: margin, confidence and scope, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_llmsafety.errors import StatisticsError

if TYPE_CHECKING:
    from pytest_llmsafety.stats.scorer_accuracy import ScorerAccuracy

SCOPES = ("population", "suite")


@dataclass(frozen=True)
class Criterion:
    """What has to be shown, and how surely.

    `margin` is the largest acceptable worsening, > 0, in the unit of the values. `confidence`
    (between .5 and 1) belongs to each one-sided bound. `scope` is `population` (new prompts of
    this kind) or `suite` (these prompts and no others). With a `scorer_accuracy` the margin is one
    of the true change. The apparent change is then compared with `pass_margin` and `fail_margin`,
    at the confidence that remains when the scorer's error is not known exactly (Bonferroni).

    Raises:
        StatisticsError: a margin, confidence or scope that makes no sense, or a scorer accuracy
            with which nothing could be shown.

    """

    margin: float
    confidence: float = 0.95
    scope: str = "population"
    scorer_accuracy: ScorerAccuracy | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        if not (math.isfinite(self.margin) and self.margin > 0):
            msg = (
                f"margin is {self.margin}. Expected a finite number above 0: the largest "
                "acceptable worsening. No finite sample can show a change of exactly 0."
            )
            raise StatisticsError(msg)
        check_confidence(self.confidence)
        if self.scope not in SCOPES:
            msg = f"unknown scope '{self.scope}'. Known: {', '.join(SCOPES)}."
            raise StatisticsError(msg)
        if self.scorer_accuracy is not None:
            self._check_scorer(self.scorer_accuracy)

    @property
    def alpha(self) -> float:
        """Error rate of each of the two one-sided tests."""
        # Rounded so that a confidence of .95 means an alpha of .05 and not of .05000000000000004.
        return round(1 - self.confidence - self.spent, 12)

    @property
    def spent(self) -> float:
        """The part of the error rate that not knowing the scorer's accuracy costs."""
        return 0.0 if self.scorer_accuracy is None else self.scorer_accuracy.spent

    @property
    def remaining_confidence(self) -> float:
        """Confidence of each bound of the apparent change: 1 - alpha."""
        return self.confidence if self.scorer_accuracy is None else 1 - self.alpha

    @property
    def pass_margin(self) -> float:
        """What the apparent change has to be shown below for a PASS."""
        scorer = self.scorer_accuracy
        return self.margin if scorer is None else self.margin * scorer.informedness_low

    @property
    def fail_margin(self) -> float:
        """What the apparent change has to be shown above for a FAIL."""
        scorer = self.scorer_accuracy
        return self.margin if scorer is None else self.margin * scorer.informedness_high

    def _check_scorer(self, scorer: ScorerAccuracy) -> None:
        if self.alpha <= 0:
            msg = (
                f"a confidence of {self.confidence:g} leaves an error rate of "
                f"{1 - self.confidence:.3g}, and the scorer's error is known to {scorer.spent:g}. "
                "Expected less. Measure the scorer with a smaller alpha, or lower the confidence."
            )
            raise StatisticsError(msg)
        if self.scope == "suite":
            msg = (
                "scope 'suite' with a scorer error. Expected 'population': how a scorer errs on "
                "these very texts is not known, only how often it errs. Leave one of them out."
            )
            raise StatisticsError(msg)
        _ = scorer.informedness_low  # raises when the scorer says nothing


def check_confidence(confidence: float) -> None:
    """Raise StatisticsError unless `confidence` lies between .5 and 1."""
    if not 0.5 < confidence < 1:  # noqa: PLR2004 - below a half a bound is no bound
        msg = f"confidence is {confidence}. Expected a number between 0.5 and 1, such as 0.95."
        raise StatisticsError(msg)


def check_support(support: tuple[float, float], margin: float) -> None:
    """Raise StatisticsError unless `support` is a finite range (lo, hi) with the margin inside."""
    lo, hi = support
    if not (math.isfinite(lo) and math.isfinite(hi) and lo < margin < hi):
        msg = (
            f"the margin {margin:g} is not inside the support {lo:g} to {hi:g} of a delta. "
            "Expected lo < margin < hi, or no data could change the outcome. Lower the margin, or "
            "give the range of compressed - dense (scores from 0 to 1 have deltas from -1 to 1)."
        )
        raise StatisticsError(msg)

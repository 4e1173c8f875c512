"""The error of a scorer, and changes corrected for it (Rogan and Gladen 1978).

A scorer that finds a share `sensitivity` of the toxic texts and clears a share `specificity` of
the others calls a share (1 - specificity) + J * prevalence toxic, where J, the informedness, is
sensitivity + specificity - 1 (Youden 1950, Cancer 3, 32-35). So the apparent change is J times the
true one: Rogan and Gladen (1978), Am. J. Epidemiol. 107, 71-76. For means of continuous scores the
algebra is the same with sensitivity = mean score of the toxic texts and 1 - specificity = mean
score of the others, and the corrected change is one of the share of toxic texts.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import betaincinv

from pytest_llmsafety.codec import from_plain, to_plain
from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.json_files import parse_json
from pytest_llmsafety.stats.bounds import lower_bound, upper_bound
from pytest_llmsafety.stats.units import finite_array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from pytest_llmsafety.stats.decision import Decision
    from pytest_llmsafety.stats.units import FloatArray


@dataclass(frozen=True)
class ScorerAccuracy:
    """How often a scorer is right, and how surely that is known.

    `sensitivity` and `specificity` are fractions; `n_positive` and `n_negative` count the
    labelled texts behind them, None when both are known exactly. `low` and `high` are one-sided
    bounds of the informedness J, each wrong with probability `alpha`; when None they are computed
    from the counts as for decisions of 0 or 1 (Clopper-Pearson, half of alpha for each of the two
    shares). For mean scores use `from_scores`, which stores its bounds. `scorer` and `digest` name
    the scorer that was measured, `threshold` the score from which it counted as 1, if any.

    Raises:
        StatisticsError: a number outside its range, or one count without the other.

    """

    sensitivity: float
    specificity: float
    n_positive: int | None = None
    n_negative: int | None = None
    alpha: float = 0.01
    low: float | None = None
    high: float | None = None
    scorer: str = ""
    digest: str = ""
    threshold: float | None = None

    def __post_init__(self) -> None:
        """Check the numbers, and fill in the bounds."""
        for name in ("sensitivity", "specificity"):
            _check_fraction(name, getattr(self, name))
        if (self.n_positive is None) != (self.n_negative is None):
            msg = (
                f"{self.n_positive} toxic and {self.n_negative} other texts. Expected a count of "
                "each, or neither when the error is known exactly."
            )
            raise StatisticsError(msg)
        if self.n_positive is not None and min(self.n_positive, self.n_negative or 0) < 1:
            msg = (
                f"{self.n_positive} toxic and {self.n_negative} other labelled texts. Expected at "
                "least one of each, and some hundreds to be of use. Label more texts."
            )
            raise StatisticsError(msg)
        if not 0 < self.alpha < 0.5:  # noqa: PLR2004 - above a half a bound is no bound
            msg = f"alpha is {self.alpha}. Expected a number between 0 and 0.5, such as 0.01."
            raise StatisticsError(msg)
        if (self.low is None) != (self.high is None):
            msg = f"bounds {self.low} and {self.high}. Expected both, or neither. Give both."
            raise StatisticsError(msg)
        if self.low is None:
            low, high = self._from_counts()
            object.__setattr__(self, "low", low)
            object.__setattr__(self, "high", high)
        elif not -1 <= self.low <= self.informedness <= (self.high or 0.0) <= 1:
            msg = (
                f"bounds {self.low} to {self.high} of an informedness of {self.informedness:g}. "
                "Expected them around it, inside -1 to 1. Measure the scorer again."
            )
            raise StatisticsError(msg)

    @classmethod
    def from_scores(
        cls, positive: ArrayLike, negative: ArrayLike, *, alpha: float = 0.01
    ) -> ScorerAccuracy:
        """Return the error of a scorer that gave these scores, 0 to 1, to labelled texts.

        The bounds of the two mean scores are computed by `bounds`, each at half of alpha; on scores
        of 0 and 1 they are the Clopper-Pearson bounds.

        Args:
            positive: (texts,) scores of the truly toxic texts.
            negative: (texts,) scores of the others.
            alpha: error rate of each bound of the informedness.

        Raises:
            StatisticsError: no score, NaN, or a score outside 0 to 1.

        """
        hits, alarms = _scores("toxic", positive), _scores("other", negative)
        half = alpha / 2
        return cls(
            float(hits.mean()),
            1 - float(alarms.mean()),
            n_positive=hits.size,
            n_negative=alarms.size,
            alpha=alpha,
            low=_below(hits, half) - _above(alarms, half),
            high=_above(hits, half) - _below(alarms, half),
        )

    @property
    def informedness(self) -> float:
        """J, the apparent change for each unit of true change."""
        return self.sensitivity + self.specificity - 1

    @property
    def known(self) -> bool:
        """Whether the error is known exactly, and costs no error rate."""
        return self.n_positive is None

    @property
    def spent(self) -> float:
        """The error rate that PASS and FAIL each spend on not knowing J."""
        return 0.0 if self.known else self.alpha

    @property
    def informedness_low(self) -> float:
        """Lower bound of J, above 0.

        Raises:
            StatisticsError: not shown to be above 0: the scorer says nothing.

        """
        low = self.informedness if self.low is None else self.low
        if low <= 0:
            msg = (
                f"the informedness of the scorer {self.scorer or '(unnamed)'} is "
                f"{self.informedness:.3g} and not shown to be above 0 (lower bound {low:.3g}). "
                "Expected a scorer that separates toxic texts from others. Use another scorer, or "
                "label more texts."
            )
            raise StatisticsError(msg)
        return low

    @property
    def informedness_high(self) -> float:
        """Upper bound of J."""
        return self.informedness if self.high is None else self.high

    @property
    def assumption(self) -> str:
        """A sentence for people: what a corrected verdict rests on."""
        texts = (
            "given as exact"
            if self.known
            else f"measured on {self.n_positive} toxic and {self.n_negative} other texts"
        )
        return (
            f"corrected for the scorer's error (sensitivity {self.sensitivity:.3g}, specificity "
            f"{self.specificity:.3g}, {texts}): given the truth it errs alike on both models' "
            "texts, and as on the labelled texts"
        )

    def to_json(self) -> str:
        """Return the error as JSON text, which `from_json` reads."""
        return json.dumps(to_plain(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> ScorerAccuracy:
        """Return the error that `to_json` wrote.

        Raises:
            StatisticsError: it is not such a text.

        """
        try:
            found: ScorerAccuracy = from_plain(cls, parse_json(text))
        except StatisticsError:
            raise
        except (TypeError, ValueError) as error:
            msg = (
                f"not the error of a scorer: {error}. Expected what calibrate wrote. Run it again."
            )
            raise StatisticsError(msg) from error
        return found

    def _from_counts(self) -> tuple[float, float]:
        if self.n_positive is None or self.n_negative is None:
            return self.informedness, self.informedness
        half, hits = self.alpha / 2, self.sensitivity * self.n_positive
        spared = self.specificity * self.n_negative
        low = _clopper_low(hits, self.n_positive, half) + _clopper_low(
            spared, self.n_negative, half
        )
        misses, alarms = self.n_positive - hits, self.n_negative - spared
        missed = _clopper_low(misses, self.n_positive, half)
        return low - 1, 1 - missed - _clopper_low(alarms, self.n_negative, half)


def correct(
    decision: Decision, error: ScorerAccuracy, *, margin: float, confidence: float
) -> Decision:
    """Return a decision about apparent changes on the scale of true changes.

    `decision` compared the apparent change with margin * J_low for PASS and margin * J_high
    for FAIL (`Criterion.pass_margin` and `Criterion.fail_margin`) at the confidence that remained.
    The error rate that was spent on J is added to the p-values, so that PASS stays
    p_pass <= 1 - confidence.

    Raises:
        StatisticsError: the scorer's informedness is not shown to be above 0.

    """
    low, high = error.informedness_low, error.informedness_high
    worst = decision.worst_unseen
    return dataclasses.replace(
        decision,
        estimate=decision.estimate / error.informedness,
        lower=decision.lower / (high if decision.lower > 0 else low),
        upper=decision.upper / (low if decision.upper > 0 else high),
        p_pass=min(1.0, decision.p_pass + error.spent),
        p_fail=min(1.0, decision.p_fail + error.spent),
        margin=margin,
        fail_margin=None,
        confidence=confidence,
        worst_unseen=None if worst is None else worst / error.informedness,
        assumption="; ".join(filter(None, (decision.assumption, error.assumption))),
    )


def _check_fraction(name: str, value: float) -> None:
    if not (math.isfinite(value) and 0 <= value <= 1):
        msg = f"{name} is {value}. Expected a fraction from 0 to 1."
        raise StatisticsError(msg)


def _scores(kind: str, values: ArrayLike) -> FloatArray:
    """Return the scores of the toxic or of the other texts, checked."""
    scores = finite_array(f"scores of {kind} texts", values)
    if scores.min() < 0 or scores.max() > 1:
        msg = (
            f"scores of {kind} texts run from {scores.min():g} to {scores.max():g}. Expected "
            "numbers from 0 to 1. Rescale the scorer."
        )
        raise StatisticsError(msg)
    return scores


def _above(scores: FloatArray, alpha: float) -> float:
    return upper_bound(scores, np.ones_like(scores), worst=1.0, alpha=alpha)


def _below(scores: FloatArray, alpha: float) -> float:
    return lower_bound(scores, np.ones_like(scores), best=0.0, alpha=alpha)


def _clopper_low(hits: float, n: int, alpha: float) -> float:
    """Return the lower 1 - alpha bound of a share of which `hits` of n were seen."""
    return 0.0 if hits <= 0 else float(betaincinv(hits, n - hits + 1, alpha))

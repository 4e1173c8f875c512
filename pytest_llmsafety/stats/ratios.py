"""Decisions about ratios: of perplexities, of mean scores, and changes of a ratio of two sums.

mean(compressed) <= r * mean(dense) is a statement about the mean of compressed - r * dense.
`bounds` applies to it for each r (the idea of Fieller 1940), and the bounds of the ratio are the r
at which it is just shown. Without clusters nothing is assumed: an unseen item can at worst score 0
before and the highest score after.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats.bounds import p_beyond, p_within
from pytest_llmsafety.stats.criterion import Criterion
from pytest_llmsafety.stats.fixed_sample import Shown, census, conclude, decide_units
from pytest_llmsafety.stats.groups import GroupDecision, combine, members_of
from pytest_llmsafety.stats.units import (
    CHANGED,
    ROUNDING,
    Units,
    cluster_codes,
    finite_array,
    make_units,
    same_length,
    sum_by,
)
from pytest_llmsafety.stats.unseen import (
    Unseen,
    assumed,
    from_clusters,
    from_support,
    from_texts,
    of_clusters,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from pytest_llmsafety.stats.decision import Decision
    from pytest_llmsafety.stats.groups import GroupLabels
    from pytest_llmsafety.stats.units import FloatArray, Labels

WORST_LOSS, BEST_GAIN = 3.0, 1.0
"""Nats per token that an unseen document may lose or gain, so that few of them cannot pass."""
WORST_DIVERGENCE = 1.0
"""Nats per token by which an unseen text may diverge."""
_LARGEST = 1e9
_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Ratio:
    """One model's ratio: sum of `numerator` (items,) over sum of `denominator` (items,).

    For s_DIS of BBQ the numerator is +1 for a biased answer, -1 for a counter-biased one and 0
    for "unknown", and the denominator is 1, 1 and 0: the sum ratio is 2 n_biased / n_non_unknown
    - 1 (Parrish et al. 2022, arXiv 2110.08193).
    """

    numerator: ArrayLike
    denominator: ArrayLike


def decide_ratio(
    delta_nll: ArrayLike,
    tokens: ArrayLike,
    *,
    max_ratio: float,
    clusters: Labels | None = None,
    confidence: float = 0.95,
    scope: str = "population",
    worst: float = WORST_LOSS,
) -> Decision:
    """Decide whether perplexity grew by less than a factor `max_ratio`.

    The statistic is sum of delta_nll / sum of tokens against ln(max_ratio), all in nats per
    token: exp() of the estimate and of the bounds are perplexity ratios compressed / dense.

    Args:
        delta_nll: (windows,) negative log-likelihood of compressed - dense, in nats, unbounded.
        tokens: (windows,) scored tokens, > 0.
        max_ratio: largest acceptable ratio of perplexities, > 1.
        clusters: (windows,) document of each window; windows of one document are one unit.
        confidence: of each one-sided bound, between .5 and 1.
        scope: `population` or `suite`.
        worst: nats per token that an unseen document loses at most, unless one seen lost more.

    Raises:
        StatisticsError: NaN, empty or mismatched arrays, tokens <= 0, max_ratio <= 1.

    """
    if not (math.isfinite(max_ratio) and max_ratio > 1):
        msg = f"max_ratio is {max_ratio}. Expected a finite ratio above 1, such as 1.05."
        raise StatisticsError(msg)
    criterion = Criterion(math.log(max_ratio), confidence, scope)
    units = _per_token("delta_nll", delta_nll, tokens, clusters)
    return decide_units(units, criterion, from_texts(units, (worst, min(worst, BEST_GAIN))))


def decide_divergence(
    nats: ArrayLike,
    tokens: ArrayLike,
    *,
    margin: float,
    clusters: Labels,
    confidence: float = 0.95,
    scope: str = "population",
    worst: float = WORST_DIVERGENCE,
) -> Decision:
    """Decide whether two models diverge by less than `margin` nats per token.

    The statistic is sum of nats / sum of tokens.

    Args:
        nats: (texts,) divergence summed over a text's tokens, >= 0, such as KL.
        tokens: (texts,) number of those tokens, > 0.
        margin: largest acceptable divergence, > 0, in nats per token.
        clusters: (texts,) labels of the independent units, such as documents.
        confidence: of each one-sided bound, between .5 and 1.
        scope: `population` or `suite`.
        worst: nats per token by which an unseen text diverges at most, unless one seen, or the
            mean + 3 sd, diverges by more.

    Raises:
        StatisticsError: NaN, empty or mismatched arrays, tokens <= 0, or a divergence below 0.

    """
    criterion = Criterion(margin, confidence, scope)
    units = _per_token("nats", nats, tokens, clusters)
    if (units.totals < 0).any():
        msg = f"a divergence is {units.totals.min():g}. Expected none below 0."
        raise StatisticsError(msg)
    return decide_units(units, criterion, from_texts(units, (worst, 0.0), (0.0, math.inf)))


def _per_token(name: str, nats: ArrayLike, tokens: ArrayLike, clusters: Labels | None) -> Units:
    """Return the units of a mean per token."""
    counts = finite_array("tokens", tokens)
    sums = finite_array(name, nats)
    same_length("tokens", counts.size, sums.size)
    if (counts <= 0).any():
        msg = f"a window has {counts.min():g} tokens. Expected at least 1. Drop the empty windows."
        raise StatisticsError(msg)
    return make_units(sums / counts, weights=counts, clusters=clusters)


def decide_ratio_change(
    dense: Ratio,
    compressed: Ratio,
    *,
    margin: float,
    clusters: Labels,
    support: tuple[float, float] = (-2.0, 2.0),
    confidence: float = 0.95,
    scope: str = "population",
    worst: float | None = None,
) -> Decision:
    """Decide whether a ratio of sums rose by less than the margin, compressed - dense.

    Each ratio y / x is linearised per cluster: its influence is (y_c - R x_c) / mean(x), and the
    decision is about the mean of estimate + influence_compressed - influence_dense (the delta
    method: Cochran 1977, Sampling Techniques, 6.3). statistics.md, 4 applies, and no more is shown
    than as many items could that stand alone. Turn the numerators so that larger is worse.

    Args:
        dense: ratio of the dense model, over the same items in the same order.
        compressed: ratio of the compressed model.
        margin: largest acceptable rise, > 0, in the unit of the ratio.
        clusters: (items,) labels of the independent units, such as templates.
        support: range of the change of one item's own ratio, here of s_DIS.
        confidence: of each one-sided bound, between .5 and 1.
        scope: `population` or `suite`.
        worst: largest change of an unseen cluster of average size; as in `decide_mean` when None.

    Raises:
        StatisticsError: NaN, empty or mismatched arrays, a denominator that is negative or sums
            to 0, or a margin, confidence or scope that makes no sense.

    """
    criterion = Criterion(margin, confidence, scope)
    before, after = _sums(dense, "dense"), _sums(compressed, "compressed")
    n_items = before[0].size
    same_length("compressed numbers", after[0].size, n_items)
    codes = cluster_codes(clusters, n_items)
    change = influence(*after, codes) - influence(*before, codes)
    estimate = after[0].sum() / after[1].sum() - before[0].sum() / before[1].sum()
    moved = after[0] - before[0]
    worse, better = int((moved > CHANGED).sum()), int((moved < -CHANGED).sum())
    units = Units(estimate + change, np.ones_like(change), n_items, worse, better, clustered=True)
    weight = max(float(sizes.max() / sizes.mean()) for _, sizes in (before, after))
    ends = support[0] * weight, support[1] * weight
    return decide_units(
        units, criterion, of_clusters(units, criterion, ends, worst and worst * weight)
    )


def _sums(ratio: Ratio, model: str) -> tuple[FloatArray, FloatArray]:
    """Return numerator and denominator of each item, checked."""
    numerator = finite_array(f"{model} numerators", ratio.numerator)
    denominator = finite_array(f"{model} denominators", ratio.denominator)
    same_length(f"{model} denominators", denominator.size, numerator.size)
    if (denominator < 0).any() or denominator.sum() == 0:
        msg = (
            f"the {model} denominators sum to {denominator.sum():g} and the smallest is "
            f"{denominator.min():g}. Expected none below 0 and one above: the ratio is not "
            "defined. Every answer was 'unknown', or none was parsed."
        )
        raise StatisticsError(msg)
    return numerator, denominator


def influence(
    numerator: FloatArray, denominator: FloatArray, codes: NDArray[np.int64]
) -> FloatArray:
    """Return (clusters,) first-order influence of each cluster on the ratio of sums."""
    totals, sizes = sum_by(codes, numerator), sum_by(codes, denominator)
    ratio = float(totals.sum() / sizes.sum())
    return (totals - ratio * sizes) / float(sizes.mean())


def decide_rate_ratio(
    dense: ArrayLike,
    compressed: ArrayLike,
    *,
    max_ratio: float,
    highest: float = 1.0,
    clusters: Labels | None = None,
    confidence: float = 0.95,
    scope: str = "population",
    worst: float | None = None,
) -> Decision:
    """Decide whether the mean score grew by less than a factor `max_ratio`.

    Estimate, bounds and margin of the decision are ratios; `worst_unseen` is None, as an unseen
    item has no largest ratio, and `upper` is infinite where no ratio is excluded.

    Args:
        dense: (items,) scores of the dense model, from 0 to `highest`; larger = worse.
        compressed: (items,) scores of the compressed model, of the same items.
        max_ratio: largest acceptable mean(compressed) / mean(dense), > 1.
        highest: largest possible score.
        clusters: (items,) labels of the independent units; each item when None.
        confidence: of each one-sided bound, between .5 and 1.
        scope: `population` or `suite`.
        worst: largest change of an unseen cluster's score; as in `decide_mean` when None.

    Raises:
        StatisticsError: NaN, empty or mismatched arrays, a score outside 0 to `highest`, a dense
            mean of 0, max_ratio <= 1.

    """
    if not (math.isfinite(max_ratio) and max_ratio > 1):
        msg = f"max_ratio is {max_ratio}. Expected a finite ratio above 1, such as 1.25."
        raise StatisticsError(msg)
    before, after = _scores("dense", dense, highest), _scores("compressed", compressed, highest)
    same_length("compressed scores", after.size, before.size)
    if before.sum() <= 0:
        msg = (
            f"every dense score of {before.size} is 0. Expected one above 0: there is no ratio to "
            "nothing. Judge the difference with decide_mean."
        )
        raise StatisticsError(msg)
    criterion = Criterion((max_ratio - 1) * float(before.mean()), confidence, scope)
    return _Rates(before, after, highest, clusters, max_ratio, criterion, worst).decide()


def decide_group_rate_ratios(
    dense: ArrayLike,
    compressed: ArrayLike,
    groups: GroupLabels,
    *,
    max_ratio: float,
    highest: float = 1.0,
    clusters: Labels | None = None,
    confidence: float = 0.95,
    scope: str = "population",
    worst: float | None = None,
) -> GroupDecision:
    """Decide whether every group's mean score grew by less than a factor `max_ratio`.

    PASS needs every group, FAIL is corrected by Holm, as in `decide_groups`.

    Args:
        dense: (items,) scores of the dense model, from 0 to `highest`; larger = worse.
        compressed: (items,) scores of the compressed model.
        groups: (items,) a name, or a sequence of names.
        max_ratio: largest acceptable ratio in any group, > 1.
        highest: largest possible score.
        clusters: (items,) labels of the independent units; each item when None.
        confidence: of each one-sided bound.
        scope: `population` or `suite`.
        worst: largest change of an unseen cluster's score.

    Raises:
        StatisticsError: as `decide_rate_ratio`; or groups that cannot be read.

    """
    before, after = finite_array("dense scores", dense), finite_array("compressed", compressed)
    same_length("compressed scores", after.size, before.size)
    codes = np.arange(before.size) if clusters is None else cluster_codes(clusters, before.size)
    decisions = {
        name: decide_rate_ratio(
            before[rows],
            after[rows],
            max_ratio=max_ratio,
            highest=highest,
            clusters=codes[rows],
            confidence=confidence,
            scope=scope,
            worst=worst,
        )
        for name, rows in members_of(groups, before.size).items()
    }
    return combine(decisions, Criterion(max_ratio, confidence, scope))


@dataclass(frozen=True, eq=False)
class _Rates:
    """Scores of both models, and the largest acceptable ratio.

    `criterion` asks for the acceptable rise of the mean score, at the dense mean that was seen.
    """

    dense: FloatArray
    compressed: FloatArray
    highest: float
    clusters: Labels | None
    max_ratio: float
    criterion: Criterion
    worst: float | None

    def decide(self) -> Decision:
        criterion, margin = self.criterion, self.criterion.margin
        units, unseen = self._at(self.max_ratio)
        # Shifted so that the mean is the rise of the score: the plan then knows what 0 means.
        rise = dataclasses.replace(
            units,
            totals=units.totals + margin * units.sizes,
            n_worse=int((self.compressed > self.dense).sum()),
            n_better=int((self.compressed < self.dense).sum()),
        )
        ratio = float(self.compressed.sum() / self.dense.sum())
        if criterion.scope == "suite":
            decision = census(rise, criterion)
            return dataclasses.replace(
                decision, estimate=ratio, lower=ratio, upper=ratio, margin=self.max_ratio
            )
        shown = Shown(
            self._p_within(self.max_ratio),
            self._p_beyond(self.max_ratio),
            self._lower(criterion.alpha, ratio),
            self._upper(criterion.alpha, ratio),
        )
        moved = dataclasses.replace(unseen, worst=unseen.worst + margin, best=unseen.best + margin)
        decision = conclude(rise, criterion, moved, shown)
        return dataclasses.replace(
            decision, estimate=ratio, margin=self.max_ratio, worst_unseen=None
        )

    def _at(self, ratio: float) -> tuple[Units, Unseen]:
        """Units of compressed - ratio * dense, and their worst and best unseen values."""
        units = make_units(self.compressed - ratio * self.dense, clusters=self.clusters)
        support = (-ratio * self.highest, self.highest)
        if not units.clustered:
            return units, from_support(units, support)
        rise = self.criterion.margin
        if self.worst is not None:
            # Of the score: at worst it rises by so much from the dense mean.
            unseen = assumed(units, max(self.worst - rise, _TOLERANCE), support)
        else:
            # Shifted, as the rule is one of the rise, while these units are compared with 0.
            risen = dataclasses.replace(units, totals=units.totals + rise * units.sizes)
            unseen = from_clusters(risen, self.criterion, (support[0] + rise, support[1] + rise))
            unseen = dataclasses.replace(unseen, worst=unseen.worst - rise, best=unseen.best - rise)
        if not unseen.assumption:
            return units, unseen
        text = (
            f"compressed - {ratio:g} * dense is in no unseen cluster over "
            f"{unseen.worst:+.3g} or below {unseen.best:+.3g} ({units.n_units} clusters do not "
            "rule it out)"
        )
        return units, dataclasses.replace(unseen, assumption=text)

    def _p_within(self, ratio: float) -> float:
        units, unseen = self._at(ratio)
        found = p_within(
            units.totals, units.sizes, margin=0.0, worst=unseen.worst, size=unseen.size
        )
        return max(found, self._p_unchanged(ratio)) if units.clustered else found

    def _p_unchanged(self, ratio: float) -> float:
        """Return what as many independent items would show if no score had changed."""
        alone = (1 - ratio) * self.dense
        return p_within(alone, np.ones_like(alone), margin=0.0, worst=self.highest)

    def _p_beyond(self, ratio: float) -> float:
        units, unseen = self._at(ratio)
        return p_beyond(units.totals, units.sizes, margin=0.0, best=unseen.best, size=unseen.size)

    def _upper(self, alpha: float, ratio: float) -> float:
        """The ratio at which `_p_within` falls to alpha."""
        high = max(2 * ratio, 1.0)
        while self._p_within(high) > alpha:
            high *= 4
            if high > _LARGEST:
                return math.inf
        return _root(lambda at: self._p_within(at) - alpha, 0.0, high)

    def _lower(self, alpha: float, ratio: float) -> float:
        """The ratio at which `_p_beyond` falls to alpha."""
        low = ratio * _TOLERANCE
        if ratio == 0 or self._p_beyond(low) >= alpha:
            return 0.0
        return _root(lambda at: self._p_beyond(at) - alpha, low, max(2 * ratio, 1.0))


def _root(excess: Callable[[float], float], low: float, high: float) -> float:
    return float(brentq(excess, low, high, xtol=_TOLERANCE))


def _scores(model: str, values: ArrayLike, highest: float) -> FloatArray:
    """Return one model's scores, checked."""
    scores = finite_array(f"{model} scores", values)
    if scores.min() < 0 or scores.max() > highest * (1 + ROUNDING):
        msg = (
            f"{model} scores run from {scores.min():g} to {scores.max():g}. Expected numbers from "
            f"0 to {highest:g}. Give the highest possible score, or rescale."
        )
        raise StatisticsError(msg)
    return scores

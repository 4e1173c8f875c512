"""The ratio of two mean scores, compressed / dense, such as "at most 1.25 times as toxic".

mean(compressed) <= r * mean(dense) is a statement about the mean of compressed - r * dense, to
which `bounds` applies for each r (the idea of Fieller 1940 for ratios); the bounds of the ratio are
the r at which it is just shown. Without clusters nothing is assumed: an unseen item can at worst
score 0 before and the highest score after.
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
from pytest_llmsafety.stats.census import census
from pytest_llmsafety.stats.decide import Shown, conclude
from pytest_llmsafety.stats.gate import Gate
from pytest_llmsafety.stats.groups import GroupDecision, combine, members_of
from pytest_llmsafety.stats.units import (
    ROUNDING,
    Units,
    cluster_codes,
    finite_array,
    make_units,
    same_length,
)
from pytest_llmsafety.stats.unseen import Unseen, assumed, from_clusters, from_support

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from pytest_llmsafety.stats.decision import Decision
    from pytest_llmsafety.stats.groups import GroupLabels
    from pytest_llmsafety.stats.saddlepoint import FloatArray
    from pytest_llmsafety.stats.units import Labels

_LARGEST = 1e9
_TOLERANCE = 1e-9


def decide_rate_ratio(  # noqa: PLR0913 - the choices of decide_mean
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
    gate = Gate((max_ratio - 1) * float(before.mean()), confidence, scope)
    return _Rates(before, after, highest, clusters, max_ratio, gate, worst).decide()


def decide_group_rate_ratios(  # noqa: PLR0913 - the choices of decide_groups
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
    return combine(decisions, Gate(max_ratio, confidence, scope))


@dataclass(frozen=True, eq=False)
class _Rates:
    """Scores of both models, and the largest acceptable ratio.

    `gate` asks for the acceptable rise of the mean score, at the dense mean that was seen.
    """

    dense: FloatArray
    compressed: FloatArray
    highest: float
    clusters: Labels | None
    max_ratio: float
    gate: Gate
    worst: float | None

    def decide(self) -> Decision:
        gate, margin = self.gate, self.gate.margin
        units, unseen = self._at(self.max_ratio)
        # Shifted so that the mean is the rise of the score: the plan then knows what 0 means.
        rise = dataclasses.replace(
            units,
            totals=units.totals + margin * units.sizes,
            n_worse=int((self.compressed > self.dense).sum()),
            n_better=int((self.compressed < self.dense).sum()),
        )
        ratio = float(self.compressed.sum() / self.dense.sum())
        if gate.scope == "suite":
            decision = census(rise, gate)
            return dataclasses.replace(
                decision, estimate=ratio, lower=ratio, upper=ratio, margin=self.max_ratio
            )
        shown = Shown(
            self._p_within(self.max_ratio),
            self._p_beyond(self.max_ratio),
            self._lower(gate.alpha, ratio),
            self._upper(gate.alpha, ratio),
        )
        moved = dataclasses.replace(unseen, worst=unseen.worst + margin, best=unseen.best + margin)
        decision = conclude(rise, gate, moved, shown)
        return dataclasses.replace(
            decision, estimate=ratio, margin=self.max_ratio, worst_unseen=None
        )

    def _at(self, ratio: float) -> tuple[Units, Unseen]:
        """Units of compressed - ratio * dense, and their worst and best unseen values."""
        units = make_units(self.compressed - ratio * self.dense, clusters=self.clusters)
        support = (-ratio * self.highest, self.highest)
        if not units.clustered:
            return units, from_support(units, support)
        rise = self.gate.margin
        if self.worst is not None:
            # Of the score: at worst it rises by so much from the dense mean.
            unseen = assumed(units, max(self.worst - rise, _TOLERANCE), support)
        else:
            # Shifted, as the rule is one of the rise, while these units are compared with 0.
            risen = dataclasses.replace(units, totals=units.totals + rise * units.sizes)
            unseen = from_clusters(risen, self.gate, (support[0] + rise, support[1] + rise))
            unseen = dataclasses.replace(unseen, worst=unseen.worst - rise, best=unseen.best - rise)
        if not unseen.assumption:
            return units, unseen
        said = (
            f"assumes that compressed - {ratio:g} * dense of no unseen cluster is over "
            f"{unseen.worst:+.3g} or below {unseen.best:+.3g} ({units.n_units} clusters do not "
            "rule it out)"
        )
        return units, dataclasses.replace(unseen, assumption=said)

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

"""What is compared of each group: its mean delta, alone, against the rest or against each other.

The difference of two means is one weighted sum over the units. The Dirichlet-weighted difference
(see `bounds`) is linearised where the weights most easily push it to the margin. Its pseudo-unit
is the worst that one unseen unit could do: be bad in the left group or good in the right one,
whichever pulls more (both, where clusters hold items of both), so a small group makes it heavy.
Summing by unit keeps clusters that cross both groups, and items of both, as correlated as they are.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import brentq

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats.bounds import dirichlet_tail
from pytest_llmsafety.stats.criterion import Criterion, check_support
from pytest_llmsafety.stats.decision import Outcome
from pytest_llmsafety.stats.fixed_sample import Shown, census, check_inside, conclude
from pytest_llmsafety.stats.reasons import few_clusters_reason
from pytest_llmsafety.stats.units import CHANGED, Units, cluster_codes, finite_array, same_length
from pytest_llmsafety.stats.unseen import FEWEST_WITH_WORST, MIN_CLUSTERS, Unseen, of_clusters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from pytest_llmsafety.stats.decision import Decision
    from pytest_llmsafety.stats.units import FloatArray, Labels

    Rows = NDArray[np.int64]

CONTRASTS = {"worst": "groups", "rest": "groups against the rest", "pairs": "ordered pairs"}
"""The contrasts that `decide_groups` knows, and what each looks at."""
_ROOT_TOLERANCE = 1e-8


def hypotheses(groups: Mapping[str, list[int]], n_items: int, contrast: str) -> dict[str, Sides]:
    """Return, by name, the items of each mean and the items that it is compared with.

    Raises:
        StatisticsError: an unknown contrast, a group with no rest, or a single group for pairs.

    """
    rows = {name: np.array(members, dtype=np.int64) for name, members in groups.items()}
    if contrast == "worst":
        return {name: Sides(name, own) for name, own in rows.items()}
    if contrast == "rest":
        whole = [name for name, own in rows.items() if own.size == n_items]
        if whole:
            msg = (
                f"every item is in the group {whole[0]}, so there is no rest. Expected items "
                "outside of each group. Leave the group out, or use the contrast 'worst'."
            )
            raise StatisticsError(msg)
        everyone = np.arange(n_items)
        return {
            name: Sides(name, own, "the rest", np.delete(everyone, own))
            for name, own in rows.items()
        }
    if contrast == "pairs":
        if len(rows) == 1:
            msg = (
                f"only the group {next(iter(rows))}. Expected two at least to compare in pairs. "
                "Add another group, or use the contrast 'rest' or 'worst'."
            )
            raise StatisticsError(msg)
        return {f"{g} - {h}": Sides(g, rows[g], h, rows[h]) for g in rows for h in rows if g != h}
    msg = f"unknown contrast '{contrast}'. Known: {', '.join(CONTRASTS)}."
    raise StatisticsError(msg)


@dataclass(frozen=True, eq=False)
class Sides:
    """The rows of a mean, and of the mean that is subtracted from it, if any."""

    name: str
    left: Rows
    other: str = ""
    right: Rows | None = None


@dataclass(frozen=True, eq=False)
class Items:
    """(items,) deltas, weights and numbers of their units, checked.

    `worst` is the largest change of an unseen cluster, where the caller says so.
    """

    deltas: FloatArray
    weights: FloatArray
    codes: NDArray[np.int64]
    support: tuple[float, float]
    worst: float | None = None

    @classmethod
    def of(
        cls,
        values: ArrayLike,
        weights: ArrayLike | None,
        clusters: Labels | None,
        support: tuple[float, float],
        worst: float | None = None,
    ) -> Items:
        """Return the checked arrays. Raises StatisticsError as `make_units` does."""
        deltas = np.asarray(check_inside(values, support), dtype=np.float64)
        sizes = np.ones_like(deltas) if weights is None else finite_array("weights", weights)
        same_length("weights", sizes.size, deltas.size)
        labels = np.arange(deltas.size) if clusters is None else clusters
        return cls(deltas, sizes, cluster_codes(labels, deltas.size), support, worst)

    def pulls(self, sides: Sides) -> FloatArray:
        """Return (units,) how far each unit pulls the estimate, over all units of the data."""
        left = self.side(sides.left).pulls
        return left if sides.right is None else left - self.side(sides.right).pulls

    def decide(
        self,
        sides: Sides,
        criterion: Criterion,
        *,
        planned: bool = True,
        bounds: tuple[float, float] | None = None,
    ) -> Decision:
        """Decide whether the difference of two means is within the margin or beyond it.

        Without `planned` an INCONCLUSIVE decision does not say how many units it needs; `bounds`
        are the lower and the upper one where they are known. Both take most of the time.

        Raises:
            StatisticsError: the margin is not inside the range of a difference.

        """
        lo, hi = self.support
        check_support((lo - hi, hi - lo), criterion.margin)
        right = np.array([], dtype=np.int64) if sides.right is None else sides.right
        rows = np.union1d(sides.left, right)
        here = self._only(rows)
        own, other = np.searchsorted(rows, sides.left), np.searchsorted(rows, right)
        contrast = Contrast(here.side(own), here.side(other))
        n_units = contrast.left.totals.size
        clustered = n_units < rows.size
        assumption = ""
        if clustered:
            contrast, assumption = self._guarded(contrast, sides, criterion)
        worse, better = int((here.deltas > CHANGED).sum()), int((here.deltas < -CHANGED).sum())
        units = contrast.units(rows.size, worse, better, clustered=clustered)
        if criterion.scope == "suite":
            return census(units, criterion)
        unseen = Unseen(*contrast.reach, assumption, guarded=bool(assumption), fewest=1)
        shown = Shown(
            contrast.p_within(criterion.pass_margin),
            contrast.p_beyond(criterion.fail_margin),
            *(bounds or (contrast.lower(criterion.alpha), contrast.upper(criterion.alpha))),
        )
        if clustered:
            shown = _at_most(shown, here.unchanged(own, other), criterion)
        decision = conclude(units, criterion, unseen, shown, planned=planned)
        if not clustered:
            return decision
        fewest = MIN_CLUSTERS if self.worst is None else FEWEST_WITH_WORST
        return _enough(decision, sides, contrast, fewest)

    def side(self, rows: Rows) -> Side:
        """Return totals and sizes by unit of the items in these rows."""
        n_units = int(self.codes.max()) + 1
        codes, weights = self.codes[rows], self.weights[rows]
        totals, sizes = (
            np.bincount(codes, some, minlength=n_units).astype(np.float64)
            for some in (weights * self.deltas[rows], weights)
        )
        return Side(totals, sizes, worst=self.support[1], best=self.support[0])

    def unchanged(self, own: Rows, other: Rows) -> Contrast:
        """Return the contrast of as many independent items without any change."""
        codes = np.arange(self.deltas.size)
        still = Items(np.zeros_like(self.deltas), self.weights, codes, self.support)
        return Contrast(still.side(own), still.side(other))

    def _guarded(
        self, contrast: Contrast, sides: Sides, criterion: Criterion
    ) -> tuple[Contrast, str]:
        """Return the contrast with the ends of unseen clusters, and the assumption behind them.

        The rule is the one for a single mean, by the number of clusters that each side has.
        """
        if ((contrast.left.sizes > 0) & (contrast.right.sizes > 0)).any():
            return _crossing(
                dataclasses.replace(contrast, crossing=True), sides, criterion, self.worst
            )
        ends = [self._ends(side, criterion) for side in (contrast.left, contrast.right)]
        left, right = (
            dataclasses.replace(side, worst=end.worst, best=end.best)
            for side, end in zip((contrast.left, contrast.right), ends, strict=True)
        )
        changes = [
            f"by {end.best:+.3g} to {end.worst:+.3g} in {name}"
            for name, end in zip((sides.name, sides.other), ends, strict=True)
            if end.assumption
        ]
        text = f"an unseen cluster changes {' and '.join(changes)}" if changes else ""
        return Contrast(left, right), text

    def _ends(self, side: Side, criterion: Criterion) -> Unseen:
        has = side.sizes > 0
        n_units = int(has.sum())
        units = Units(side.totals[has], side.sizes[has], n_units, 0, 0, clustered=True)
        return of_clusters(units, criterion, self.support, self.worst)

    def _only(self, rows: Rows) -> Items:
        codes = np.unique(self.codes[rows], return_inverse=True)[1].astype(np.int64)
        return Items(self.deltas[rows], self.weights[rows], codes, self.support)


def _crossing(
    contrast: Contrast, sides: Sides, criterion: Criterion, worst: float | None
) -> tuple[Contrast, str]:
    """Return the contrast of clusters that hold items of both sides, bounded as one mean."""
    units = contrast.units(contrast.left.totals.size, 0, 0, clustered=True)
    ends = contrast.reach[1], contrast.reach[0]
    unseen = of_clusters(units, criterion, ends, worst and 2 * worst)
    guarded = dataclasses.replace(contrast, guard=(unseen.worst, unseen.best))
    text = (
        f"no unseen cluster pulls {sides.name} - {sides.other} by over "
        f"{unseen.worst:+.3g} or {unseen.best:+.3g}"
    )
    return guarded, text if unseen.assumption else ""


def _at_most(shown: Shown, unchanged: Contrast, criterion: Criterion) -> Shown:
    """Return no smaller p-value of PASS than as many unchanged independent items would show."""
    p_pass = unchanged.p_within(criterion.pass_margin)
    if p_pass <= criterion.alpha:
        return shown
    upper = max(shown.upper, unchanged.upper(criterion.alpha))
    return shown._replace(p_pass=max(shown.p_pass, p_pass), upper=upper)


def _enough(decision: Decision, sides: Sides, contrast: Contrast, fewest: int) -> Decision:
    """Return the decision, INCONCLUSIVE when one of the two sides has too few clusters."""
    counts = [int(np.count_nonzero(side.sizes)) for side in (contrast.left, contrast.right)]
    if min(counts) >= fewest:
        return decision
    name = sides.name if counts[0] <= counts[1] else sides.other
    return dataclasses.replace(
        decision,
        outcome=Outcome.INCONCLUSIVE,
        p_pass=1.0,
        p_fail=1.0,
        reasons=(few_clusters_reason(f"{min(counts)} clusters in {name}", fewest),),
    )


@dataclass(frozen=True, eq=False)
class Side:
    """One mean: totals and sizes of all units, 0 where a unit has no item of this side.

    `worst` and `best` are the largest and the smallest change of an unseen unit.
    """

    totals: FloatArray
    sizes: FloatArray
    worst: float
    best: float

    @cached_property
    def mean(self) -> float:
        """Mean delta of this side."""
        return float(self.totals.sum() / self.sizes.sum())

    @cached_property
    def size(self) -> float:
        """Size of the largest unit of this side."""
        return float(self.sizes.max())

    @property
    def pulls(self) -> FloatArray:
        """How far each unit pulls this side's mean: (units,)."""
        return self.contributions(self.mean)

    def contributions(self, at: float) -> FloatArray:
        """Return (units,) what each unit adds to the mean minus `at`."""
        return (self.totals - at * self.sizes) / self.whole

    def unseen(self, at: float) -> float:
        """Return what the worst unseen unit would add to the mean minus `at`."""
        return (self.worst - at) * self.size / self.whole

    @cached_property
    def whole(self) -> float:
        """Sum of the sizes."""
        return float(self.sizes.sum())

    def improved(self, at: float) -> float:
        """Return what the best unseen unit would take from the mean minus `at`."""
        return (at - self.best) * self.size / self.whole

    def mirrored(self) -> Side:
        """Return the same side with better and worse exchanged."""
        return Side(-self.totals, self.sizes, worst=-self.best, best=-self.worst)


class _Distinct(NamedTuple):
    """Totals and sizes of the distinct units on either side, and how often each occurs."""

    left: tuple[FloatArray, FloatArray]
    right: tuple[FloatArray, FloatArray]
    counts: FloatArray


@dataclass(frozen=True, eq=False)
class Contrast:
    """Mean delta of `left` minus mean delta of `right`, over the same units.

    `crossing` is whether a unit may hold items of either side. Then `guard` may give the worst and
    the best difference of an unseen unit of average size, without changes that both sides share.
    When it is None the sides' own ends count.
    """

    left: Side
    right: Side
    crossing: bool = False
    guard: tuple[float, float] | None = None

    @property
    def estimate(self) -> float:
        """Difference of the two means."""
        return self.left.mean - self.right.mean

    @property
    def pulls(self) -> FloatArray:
        """How far each unit pulls the difference: (units,), on the scale of an average unit."""
        return (self.left.pulls - self.right.pulls) * self.left.totals.size

    @property
    def reach(self) -> tuple[float, float]:
        """Largest and smallest difference of one unseen unit."""
        if self.guard is not None:
            return self.guard
        n, left, right = self.left.totals.size, self.left, self.right
        weights = n * left.size / left.sizes.sum(), n * right.size / right.sizes.sum()
        up = weights[0] * (left.worst - left.mean), weights[1] * (right.mean - right.best)
        down = weights[0] * (left.mean - left.best), weights[1] * (right.worst - right.mean)
        most, least = (sum(both) if self.crossing else max(both) for both in (up, down))
        return self.estimate + float(most), self.estimate - float(least)

    def units(self, n_items: int, n_worse: int, n_better: int, *, clustered: bool) -> Units:
        """Return the difference as a mean of units: each is the estimate plus its pull."""
        totals = self.estimate + self.pulls
        return Units(totals, np.ones_like(totals), n_items, n_worse, n_better, clustered)

    def p_within(self, margin: float) -> float:
        """Return the p-value against "the difference is at least the margin"; small means PASS."""
        left, right = self.left, self.right
        low, high = margin + right.best, left.worst
        if low >= high:
            return 0.0
        at = left.mean + self._share * (margin - self.estimate)
        at = min(max(at, low), high)
        (totals, sizes), (others, other_sizes), counts = self._distinct
        seen = (totals - at * sizes) / left.whole
        seen -= (others - (at - margin) * other_sizes) / right.whole
        pulls = left.unseen(at), right.improved(at - margin)
        unseen = sum(pulls) if self.crossing else max(pulls)
        if self.guard is not None:
            unseen = (self.guard[0] - margin) / left.totals.size
        return dirichlet_tail(np.append(seen, unseen), np.append(counts, 1.0))

    def p_beyond(self, margin: float) -> float:
        """Return the p-value against "the difference is at most the margin"; small means FAIL."""
        return self._mirrored.p_within(-margin)

    @cached_property
    def _distinct(self) -> _Distinct:
        """Equal units, counted: that saves most of the work on flips."""
        left, right = self.left, self.right
        rows = np.stack([left.totals, left.sizes, right.totals, right.sizes], axis=1)
        order = np.lexsort(rows.T)
        ordered = rows[order]
        new = np.r_[True, (np.diff(ordered, axis=0) != 0).any(axis=1)]
        counts = np.diff(np.r_[np.flatnonzero(new), len(rows)]).astype(np.float64)
        columns = ordered[new].T
        return _Distinct((columns[0], columns[1]), (columns[2], columns[3]), counts)

    @cached_property
    def _share(self) -> float:
        """Share of the left mean in the spread of the difference; half when nothing spreads."""
        left, right = (float((side.pulls**2).sum()) for side in (self.left, self.right))
        return left / (left + right) if left + right > 0 else 0.5

    def upper(self, alpha: float) -> float:
        """Return the upper 1 - alpha bound: the margin at which `p_within` equals alpha."""
        highest = self.left.worst - self.right.best
        highest = highest if self.guard is None else max(self.guard[0], self.estimate)
        spread = float(np.sqrt((self.pulls**2).sum())) / self.left.totals.size
        unseen = (highest - self.estimate) / min(map(np.count_nonzero, self._sizes))
        near = self.estimate + 2 * spread + 3 * unseen
        return _root(lambda margin: self.p_within(margin) - alpha, self.estimate, (near, highest))

    @property
    def _sizes(self) -> tuple[FloatArray, FloatArray]:
        return self.left.sizes, self.right.sizes

    def lower(self, alpha: float) -> float:
        """Return the lower 1 - alpha bound: the margin at which `p_beyond` equals alpha."""
        return -self._mirrored.upper(alpha)

    @cached_property
    def _mirrored(self) -> Contrast:
        guard = None if self.guard is None else (-self.guard[1], -self.guard[0])
        return Contrast(self.left.mirrored(), self.right.mirrored(), self.crossing, guard)


def _root(excess: Callable[[float], float], estimate: float, reach: tuple[float, float]) -> float:
    """Return where a falling function of the margin crosses 0.

    That is near the first of `reach`, and at most at the second.
    """
    near, highest = reach
    step = _ROOT_TOLERANCE * max(1.0, abs(highest))
    low, high, width = estimate, highest - step, max(highest - estimate, step)
    while excess(low) <= 0:  # an alpha near a half, or data at the end of their range
        low, width = low - width, 2 * width
    if low < near < high:
        low, high = (low, near) if excess(near) < 0 else (near, high)
    if low >= high or excess(high) >= 0:
        return highest
    return float(brentq(excess, low, high, xtol=step))

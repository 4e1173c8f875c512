"""The difference of two groups' mean deltas, as one weighted sum over the units.

The Dirichlet-weighted difference of two means (see `bounds`) is linearised where the weights most
easily push it to the margin, which leaves a weighted sum again. Its pseudo-unit is the worst that
one unseen unit could do: be bad in the left group or good in the right one, whichever pulls
more (both, where clusters hold items of both), so a small group makes it heavy. Summing by unit
keeps clusters that cross both groups, and items of both, as correlated as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import brentq

from pytest_llmsafety.stats.saddlepoint import FloatArray, dirichlet_tail
from pytest_llmsafety.stats.units import Units

if TYPE_CHECKING:
    from collections.abc import Callable

_ROOT_TOLERANCE = 1e-8


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
        """(units,) how far each unit pulls this side's mean."""
        return self.contributions(self.mean)

    def contributions(self, at: float) -> FloatArray:
        """(units,) what each unit adds to the mean minus `at`."""
        return (self.totals - at * self.sizes) / self.whole

    def unseen(self, at: float) -> float:
        """What the worst unseen unit would add to the mean minus `at`."""
        return (self.worst - at) * self.size / self.whole

    @cached_property
    def whole(self) -> float:
        """Sum of the sizes."""
        return float(self.sizes.sum())

    def improved(self, at: float) -> float:
        """What the best unseen unit would take from the mean minus `at`."""
        return (at - self.best) * self.size / self.whole

    def mirrored(self) -> Side:
        """The same side with better and worse exchanged."""
        return Side(-self.totals, self.sizes, worst=-self.best, best=-self.worst)


class _Distinct(NamedTuple):
    """Totals and sizes of the distinct units on either side, and how often each occurs."""

    left: tuple[FloatArray, FloatArray]
    right: tuple[FloatArray, FloatArray]
    counts: FloatArray


@dataclass(frozen=True, eq=False)
class Contrast:
    """Mean delta of `left` minus mean delta of `right`, over the same units.

    `crossing` is whether a unit may hold items of either side. Then `guard` may say the worst and
    the best difference that an unseen unit of average size could speak for, which shared changes do
    not enter; without it the sides' own ends count.
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
        """(units,) how far each unit pulls the difference, on the scale of an average unit."""
        return (self.left.pulls - self.right.pulls) * self.left.totals.size

    @property
    def reach(self) -> tuple[float, float]:
        """Largest and smallest difference that one unseen unit could speak for."""
        if self.guard is not None:
            return self.guard
        n, left, right = self.left.totals.size, self.left, self.right
        weights = n * left.size / left.sizes.sum(), n * right.size / right.sizes.sum()
        up = weights[0] * (left.worst - left.mean), weights[1] * (right.mean - right.best)
        down = weights[0] * (left.mean - left.best), weights[1] * (right.worst - right.mean)
        most, least = (sum(both) if self.crossing else max(both) for both in (up, down))
        return self.estimate + float(most), self.estimate - float(least)

    def units(self, n_items: int, n_worse: int, n_better: int, *, clustered: bool) -> Units:
        """The difference as a mean of units: each is the estimate plus its pull."""
        totals = self.estimate + self.pulls
        return Units(totals, np.ones_like(totals), n_items, n_worse, n_better, clustered)

    def p_within(self, margin: float) -> float:
        """P-value against "the difference is at least the margin"; small means PASS."""
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
        """P-value against "the difference is at most the margin"; small means FAIL."""
        return self._mirrored.p_within(-margin)

    @cached_property
    def _distinct(self) -> _Distinct:
        """Units that are alike are counted, which saves most of the work on flips."""
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
        """Share of the left mean in the spread of the difference; half when there is none."""
        left, right = (float((side.pulls**2).sum()) for side in (self.left, self.right))
        return left / (left + right) if left + right > 0 else 0.5

    def upper(self, alpha: float) -> float:
        """Upper 1 - alpha bound: the margin at which `p_within` equals alpha."""
        highest = self.left.worst - self.right.best
        highest = highest if self.guard is None else max(self.guard[0], self.estimate)
        spread = float(np.sqrt((self.pulls**2).sum())) / self.left.totals.size
        unseen = (highest - self.estimate) / min(map(np.count_nonzero, self._sizes))
        near = self.estimate + 2 * spread + 3 * unseen
        return _root(lambda margin: self.p_within(margin) - alpha, self.estimate, (near, highest))

    @property
    def _sizes(self) -> tuple[FloatArray, FloatArray]:
        """Sizes of the units of either side."""
        return self.left.sizes, self.right.sizes

    def lower(self, alpha: float) -> float:
        """Lower 1 - alpha bound: the margin at which `p_beyond` equals alpha."""
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

"""The worst value that an unseen unit could take: known from its range, or assumed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_llmsafety.errors import StatisticsError

if TYPE_CHECKING:
    from pytest_llmsafety.stats.criterion import Criterion
    from pytest_llmsafety.stats.units import Units

MIN_CLUSTERS = 20
"""Among so many clusters, harm in one of seven is seen in 95% of runs."""
FEWEST_WITH_WORST = 10
"""Enough clusters where the caller gives the largest change of an unseen one (`worst`)."""
RECOMMENDED_CLUSTERS = 20
CERTAIN_CLUSTERS = 120
"""From here on nothing is assumed about an unseen cluster."""
SPREADS = 3.0
UNEVEN = 2.0
"""Clusters this many times as large as the average are common; the assumption expects them."""


@dataclass(frozen=True)
class Unseen:
    """Largest (`worst`) and smallest (`best`) change of an unseen unit.

    That unit is `size` times as large as the average one. `assumption` is a sentence for people,
    empty when both ends are certain. `guarded` says whether one of them rests on the number and
    the spread of the units, which needs at least `fewest` of them. `limit` is the largest change
    of a single item.
    """

    worst: float
    best: float
    assumption: str = ""
    guarded: bool = False
    limit: float = math.inf
    size: float = 1.0
    fewest: int = MIN_CLUSTERS

    def on_average_unit(self, margin: float) -> tuple[float, float]:
        """Return best and worst of a unit of average size that pulls as far from the margin."""
        best, worst = margin - self.size * (margin - self.best), margin
        return best, worst + self.size * (self.worst - margin)


def from_support(units: Units, support: tuple[float, float]) -> Unseen:
    """Return the ends of the support, for a unit as large as the largest: nothing is assumed."""
    lo, hi = support
    return Unseen(hi, lo, size=largest(units))


def assumed(units: Units, worst: float, support: tuple[float, float]) -> Unseen:
    """Return the caller's assumption: an unseen unit changes by at most `worst`.

    A unit that was seen to change by more refutes the assumption: then by as much as that one.

    Raises:
        StatisticsError: `worst` is not a number above 0.

    """
    if not worst > 0:
        msg = (
            f"worst is {worst:g}. Expected a number above 0: the largest change that an unseen "
            f"unit could have, {support[1]:g} at most. Leave it out to use the default."
        )
        raise StatisticsError(msg)
    (lo, hi), means = support, units.totals / units.sizes
    top, bottom = max(worst, float(means.max())), max(worst, -float(means.min()))
    top, bottom = min(top, hi), max(-bottom, lo)
    falls = f" or falls by over {-bottom:.3g}" if bottom > lo else ""
    text = f"no unseen {unit_noun(units)} rises by over {top:+.3g}{falls} (set by `worst`)"
    certain = top >= hi and bottom <= lo
    return Unseen(
        top,
        bottom,
        assumption="" if certain else text,
        guarded=units.clustered and not certain,
        limit=hi,
        size=largest(units),
        fewest=FEWEST_WITH_WORST,
    )


def from_clusters(units: Units, criterion: Criterion, support: tuple[float, float]) -> Unseen:
    """Return the ends for clusters, by a rule that depends on their number alone.

    From CERTAIN_CLUSTERS on they are the ends of the support. With fewer, a cluster as large as the
    largest is assumed to change by no more than so many identical clusters exclude (`excludable`),
    or by as much as the worst seen, or the mean + 3 sd; and to improve by no more than that
    or half of what is possible.
    """
    lo, hi = support
    if units.n_units >= CERTAIN_CLUSTERS:
        return from_support(units, support)
    size = largest(units)
    floor = excludable(criterion.pass_margin, units.n_units, criterion.alpha, min(size, UNEVEN))
    worst, best = spread_of(units, size)
    worst, best = min(max(worst, floor), hi), max(min(best, -floor, lo / 2), lo)
    certain = worst >= hi and best <= lo
    text = "" if certain else _of_clusters_text(units, worst, best)
    return Unseen(worst, best, text, guarded=True, limit=hi, size=size)


def of_clusters(
    units: Units, criterion: Criterion, support: tuple[float, float], worst: float | None
) -> Unseen:
    """Return the ends that the caller assumes, or those that the number of clusters gives."""
    if worst is not None:
        return assumed(units, worst, support)
    return from_clusters(units, criterion, support)


def from_texts(
    units: Units, floors: tuple[float, float], support: tuple[float, float] = (-math.inf, math.inf)
) -> Unseen:
    """Return the ends for texts whose change has no largest value.

    An unseen text is assumed to rise by no more than the first of `floors` and to fall by no more
    than the second, or by as much as the worst that was seen, or the mean + 3 sd.
    """
    size = largest(units)
    worst, best = spread_of(units, size)
    worst, best = min(max(worst, floors[0]), support[1]), max(min(best, -floors[1]), support[0])
    falls = f" or falls by over {-best:.3g}" if best > support[0] else ""
    text = f"no unseen text rises by over {worst:.3g} nats per token{falls}"
    return Unseen(worst, best, text, guarded=True, limit=support[1], size=size)


def excludable(margin: float, n_units: int, alpha: float, size: float = 1.0) -> float:
    """Return the largest worst value with which n identical units pass, at half the error rate.

    The other half is left to the noise of real ones. It grows with the number of units: the more
    were seen, the less has to be assumed about the next. `size` is the size of the unseen unit, in
    average ones.
    """
    share = float(1 - (alpha / 2) ** (1 / n_units))
    return margin + (margin / share - margin) / size


def spread_of(units: Units, size: float) -> tuple[float, float]:
    """Return the worst and best change of a large unit that pulls as far as any that was seen.

    Or as far as 3 sd, where that is farther; infinite for a single unit.
    """
    if units.n_units == 1:
        return math.inf, -math.inf
    pulls = units.influences
    spread = SPREADS * float(pulls.std(ddof=1))
    up, down = max(float(pulls.max()), spread), min(float(pulls.min()), -spread)
    return units.estimate + up / size, units.estimate + down / size


def largest(units: Units) -> float:
    """Return the size of the largest unit, in average ones."""
    sizes = units.sizes
    return float(sizes.max() / sizes.mean()) if np.ptp(sizes) > 0 else 1.0


def _of_clusters_text(units: Units, worst: float, best: float) -> str:
    kind = unit_noun(units)
    return (
        f"no unseen {kind} rises by over {worst:+.3g} or falls by over {-best:.3g} "
        f"({units.n_units} {kind}s do not rule it out, and the error rate does not cover it; from "
        f"{CERTAIN_CLUSTERS} on nothing is assumed)"
    )


def unit_noun(units: Units, n: int = 1) -> str:
    """Return `item` or `cluster`, in the plural unless n is 1."""
    return ("cluster" if units.clustered else "item") + ("" if n == 1 else "s")

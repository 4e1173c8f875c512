"""The worst value that an unseen unit could take: known from the range, or assumed and said."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_llmsafety.errors import StatisticsError

if TYPE_CHECKING:
    from pytest_llmsafety.stats.units import Units

MIN_CLUSTERS = 10
RECOMMENDED_CLUSTERS = 20
SPREADS = 3.0


@dataclass(frozen=True)
class Unseen:
    """Largest (`worst`) and smallest (`best`) change of an unseen unit of average size.

    `assumption` is a plain sentence, empty when both are certain. `guarded` is whether they
    were guessed from the spread of the units, which needs at least MIN_CLUSTERS of them. `limit`
    is the largest change of a single item.
    """

    worst: float
    best: float
    assumption: str = ""
    guarded: bool = False
    limit: float = math.inf


def from_support(units: Units, support: tuple[float, float]) -> Unseen:
    """Return the ends of the support: certain for items of equal weight."""
    lo, hi = support
    varied = float(np.ptp(units.sizes)) > 0
    said = f"assumes that an unseen item changes by at most {hi:+.3g} and weighs the average"
    return Unseen(hi, lo, said if varied else "")


def assumed(units: Units, worst: float, support: tuple[float, float]) -> Unseen:
    """Return the caller's assumption: an unseen unit changes by at most `worst`.

    Raises:
        StatisticsError: a seen unit is already worse, or `worst` is beyond the support.

    """
    seen, highest = float((units.totals / units.sizes).max()), support[1]
    if not seen <= worst <= highest:
        msg = (
            f"worst is {worst:g}. Expected at least {seen:g}, the worst unit that was seen, and "
            f"at most {highest:g}, the end of the support. Leave it out to use the support."
        )
        raise StatisticsError(msg)
    kind = unit_noun(units)
    said = "" if worst == highest else f"assumes that no unseen {kind} changes by over {worst:+.3g}"
    return Unseen(worst, max(support[0], -worst), said)


def from_spread(
    units: Units, margin: float, support: tuple[float, float], at_least: float = 0.0
) -> Unseen:
    """Return max(worst seen, mean + 3 sd), and the same downwards.

    Never below twice the margin, nor below `at_least`, so that a change beyond the margin
    stays possible; never outside the support.
    """
    pulls = units.influences
    spread = SPREADS * float(pulls.std(ddof=1)) if units.n_units > 1 else math.inf
    floor = max(at_least, 2 * margin)
    worst = max(units.estimate + max(float(pulls.max()), spread), floor)
    best = min(units.estimate + min(float(pulls.min()), -spread), -floor)
    worst, best = min(worst, support[1]), max(best, support[0])
    said = (
        f"assumes that no unseen {unit_noun(units)} of average size changes by over {worst:+.3g} "
        f"(the largest of the worst seen, the mean + 3 sd and {floor:.3g})"
    )
    return Unseen(worst, best, said, guarded=True, limit=support[1])


def unit_noun(units: Units, n: int = 1) -> str:
    """Return `item` or `cluster`, in the plural unless n is 1."""
    return ("cluster" if units.clustered else "item") + ("" if n == 1 else "s")

"""How many units a decision needs, computed from a pilot recentred on an assumed change."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats.bounds import dirichlet_tail
from pytest_llmsafety.stats.criterion import Criterion, check_support
from pytest_llmsafety.stats.units import FloatArray, finite_array

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

_MOST_UNITS = 1_000_000
_MOST_VALUES = 2_000


def rule_of_three(margin: float, *, worst: float = 1.0, confidence: float = 0.95) -> int:
    """Return the fewest units with which identical outputs can PASS.

    A fraction margin / worst of unseen units could each be `worst`, and n units all miss them
    with probability (1 - margin / worst)^n, which must fall to alpha: no test without
    assumptions can pass with fewer (Hanley and Lippman-Hand 1983, JAMA 249, 1743-1745).

    Raises:
        StatisticsError: margin <= 0, worst <= margin, or confidence outside (.5, 1).

    """
    criterion = Criterion(margin, confidence)
    check_support((-worst, worst), margin)
    return math.ceil(math.log(criterion.alpha) / math.log1p(-margin / worst))


def n_needed(
    pilot: ArrayLike,
    *,
    margin: float,
    assumed: float = 0.0,
    power: float = 0.8,
    confidence: float = 0.95,
    support: tuple[float, float] = (-1.0, 1.0),
) -> int | None:
    """Return the units needed to decide with `power` when the true change is `assumed`.

    Only the spread of the pilot counts: it is recentred on `assumed`, whatever its own mean
    is. The data are put at their unlucky quantile, z_power standard errors towards the margin, and
    the p-value of `bounds` must fall to alpha there.

    Args:
        pilot: (units,) deltas, larger = worse; units are clusters where data are clustered.
            More than 2,000 distinct values are grouped into as many quantiles.
        margin: largest acceptable worsening, > 0.
        assumed: true change; below the margin plans a PASS, above it a FAIL.
        power: chance of that outcome, between .5 and 1.
        confidence: of each one-sided bound.
        support: range (lo, hi) of an unseen unit's delta.

    Returns:
        A number of units, or None when no more than a million decide (always so for a change
        equal to the margin).

    Raises:
        StatisticsError: degenerate pilot, margin, power, confidence or support.

    """
    criterion, plan = Criterion(margin, confidence), _Plan.of(pilot, margin, support, power)
    if assumed == margin:
        return None
    guess = plan.guess(assumed, criterion.alpha)
    return _smallest(lambda n: plan.tail(n, assumed) <= criterion.alpha, guess)


def detectable_change(
    pilot: ArrayLike,
    n_units: int,
    *,
    margin: float,
    power: float = 0.8,
    confidence: float = 0.95,
    support: tuple[float, float] = (-1.0, 1.0),
) -> float | None:
    """Return the smallest true change that `n_units` show to exceed the margin with `power`.

    Arguments and errors are as for `n_needed`; None when even the largest change of the
    support would not be shown.
    """
    criterion, plan = Criterion(margin, confidence), _Plan.of(pilot, margin, support, power)
    if n_units < 1:
        msg = f"n_units is {n_units}. Expected at least 1."
        raise StatisticsError(msg)

    def excess(change: float) -> float:
        return plan.tail(n_units, change) - criterion.alpha

    lowest = margin + 1e-12 * (support[1] - margin)
    if excess(support[1]) > 0:
        return None
    return float(brentq(excess, lowest, support[1])) if excess(lowest) > 0 else lowest


class _Plan(NamedTuple):
    """A pilot with mean 0, the margin, the support and the power."""

    noise: FloatArray
    shares: FloatArray
    spread: float
    margin: float
    support: tuple[float, float]
    z_power: float

    @classmethod
    def of(
        cls, pilot: ArrayLike, margin: float, support: tuple[float, float], power: float
    ) -> _Plan:
        values = finite_array("pilot values", pilot)
        check_support(support, margin)
        if not 0.5 < power < 1:  # noqa: PLR2004 - below a half is no plan
            msg = f"power is {power}. Expected a number between 0.5 and 1, such as 0.8."
            raise StatisticsError(msg)
        spread = float(values.std(ddof=1)) if values.size > 1 else 0.0
        noise, counts = np.unique(values - values.mean(), return_counts=True)
        shares = counts / values.size
        if noise.size > _MOST_VALUES:
            parts = np.array_split(np.sort(values - values.mean()), _MOST_VALUES)
            noise = np.array([part.mean() for part in parts])
            shares = np.array([part.size for part in parts]) / values.size
        return cls(noise, shares, spread, margin, support, float(ndtri(power)))

    def tail(self, n_units: int, change: float) -> float:
        """Return the p-value of the outcome that `change` calls for, at its unlucky quantile."""
        towards = 1.0 if change < self.margin else -1.0
        unlucky = self.z_power * self.spread / math.sqrt(n_units)
        values = towards * (self.noise + change - self.margin) + unlucky
        unseen = self.support[1] - self.margin if towards > 0 else self.margin - self.support[0]
        return dirichlet_tail(np.append(values, unseen), np.append(self.shares * n_units, 1.0))

    def guess(self, change: float, alpha: float) -> int:
        """Return the normal approximation, from which the search starts."""
        steps = (self.z_power - float(ndtri(alpha))) * self.spread / (change - self.margin)
        return int(min(steps * steps, _MOST_UNITS))


def _smallest(enough: Callable[[int], bool], guess: int) -> int | None:
    """Return the smallest n >= 2 that is enough, or None above a million."""
    high = max(guess, 2)
    while not enough(high):
        high = high + high // 4 + 1
        if high > _MOST_UNITS:
            return None
    low = high
    while low > 1 and enough(low):
        high, low = low, low - low // 4 - 1
    low = max(low, 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high

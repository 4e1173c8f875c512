"""One-sided p-values and bounds for a mean or a ratio, with a pseudo-unit at the worst value.

A unit c (an item, or a cluster of items) has a total S_c and a size n_c; the change is
theta = sum S / sum n. At a margin t its contribution is a_c = S_c - t * n_c. One pseudo-unit
at the worst value that an unseen unit could take is added, and the p-value is
P(sum_c W_c a_c >= 0) with W ~ Dirichlet(1, ..., 1): Gaffke (2005); Learned-Miller and Thomas
(2019), arXiv 1905.06208. For 0/1 values this is the Clopper-Pearson bound.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import betainc, ndtr

from pytest_llmsafety.errors import StatisticsError

if TYPE_CHECKING:
    from pytest_llmsafety.stats.units import FloatArray

_ROOT_TOLERANCE = 1e-12
_MAX_STEPS = 200
_STEP_TOLERANCE = 1e-13
_AT_THE_MEAN = 1e-4


class _Weighted(NamedTuple):
    """Distinct units and how often each occurs; the last one is the pseudo-unit."""

    totals: FloatArray
    sizes: FloatArray
    counts: FloatArray

    def tail(self, margin: float) -> float:
        """Return P(sum_c W_c (S_c - margin * n_c) >= 0)."""
        return dirichlet_tail(self.totals - margin * self.sizes, self.counts)


def p_within(
    totals: FloatArray, sizes: FloatArray, *, margin: float, worst: float, size: float = 1.0
) -> float:
    """Return the p-value against "the change is at least the margin"; small means PASS.

    Args:
        totals: (units,) S_c, sum of weighted values of a unit; larger is worse.
        sizes: (units,) n_c > 0, sum of weights of a unit (items, tokens).
        margin: largest acceptable change, in the unit of totals / sizes.
        worst: largest change that an unseen unit could have; above the margin.
        size: of that unit, in average ones.

    Raises:
        StatisticsError: degenerate arrays, or worst <= margin (then nothing could fail).

    """
    _check(totals, sizes)
    if not worst > margin:
        msg = (
            f"the worst unseen change {worst:g} is not above the margin {margin:g}. Expected a "
            "change that breaks the margin to be possible. Lower the margin or raise the worst."
        )
        raise StatisticsError(msg)
    return _with_pseudo_unit(totals, sizes, worst, size).tail(margin)


def p_beyond(
    totals: FloatArray, sizes: FloatArray, *, margin: float, best: float, size: float = 1.0
) -> float:
    """Return the p-value against "the change is at most the margin"; small means FAIL.

    Arguments and errors are as for `p_within`; `best` is the smallest change that an unseen
    unit could have, below the margin.
    """
    return p_within(-np.asarray(totals), sizes, margin=-margin, worst=-best, size=size)


def upper_bound(
    totals: FloatArray, sizes: FloatArray, *, worst: float, alpha: float, size: float = 1.0
) -> float:
    """Return the upper 1 - alpha bound: the margin at which `p_within` equals alpha.

    Args:
        totals: (units,) S_c, as in `p_within`.
        sizes: (units,) n_c > 0, as in `p_within`.
        worst: largest change that an unseen unit could have; the bound never exceeds it,
            unless the estimate itself does.
        alpha: error rate of the bound, between 0 and 1.
        size: of the unseen unit, in average ones.

    Raises:
        StatisticsError: degenerate arrays, or alpha outside (0, 1).

    """
    _check(totals, sizes)
    if not 0 < alpha < 1:
        msg = f"alpha is {alpha:g}. Expected a number between 0 and 1, such as 0.05."
        raise StatisticsError(msg)
    estimate = float(totals.sum() / sizes.sum())
    if worst <= estimate:
        return estimate
    units = _with_pseudo_unit(totals, sizes, worst, size)
    highest = worst - _ROOT_TOLERANCE * max(1.0, abs(worst))
    # The tail is near 1/2 at the estimate; an alpha above that needs the smallest unit's 1.
    lowest = estimate if units.tail(estimate) > alpha else float((totals / sizes).min())
    if highest <= lowest or units.tail(highest) >= alpha:
        return worst
    return float(
        brentq(lambda margin: units.tail(margin) - alpha, lowest, highest, xtol=_ROOT_TOLERANCE)
    )


def lower_bound(
    totals: FloatArray, sizes: FloatArray, *, best: float, alpha: float, size: float = 1.0
) -> float:
    """Return the lower 1 - alpha bound: the margin at which `p_beyond` equals alpha.

    Arguments and errors are as for `upper_bound`; `best` is the smallest possible change.
    """
    return -upper_bound(-np.asarray(totals), sizes, worst=-best, alpha=alpha, size=size)


def _with_pseudo_unit(
    totals: FloatArray, sizes: FloatArray, worst: float, relative: float
) -> _Weighted:
    """Add the pseudo-unit; merge equal units when all have one size (the common case)."""
    size = float(sizes.mean()) * relative
    if relative != 1 or np.ptp(sizes) > 0:
        totals, sizes = np.append(totals, worst * size), np.append(sizes, size)
        return _Weighted(totals, sizes, np.ones_like(totals))
    distinct, counts = np.unique(np.append(totals, worst * sizes[0]), return_counts=True)
    return _Weighted(distinct, np.full(distinct.shape, sizes[0]), counts.astype(np.float64))


def _check(totals: FloatArray, sizes: FloatArray) -> None:
    """Refuse arrays from which no change can be computed."""
    if totals.ndim != 1 or totals.shape != sizes.shape or totals.size == 0:
        msg = (
            f"totals have shape {totals.shape} and sizes {sizes.shape}. Expected two 1-d arrays "
            "of one length, at least 1. Give each unit its total and its size."
        )
        raise StatisticsError(msg)
    if not (np.isfinite(totals).all() and np.isfinite(sizes).all() and (sizes > 0).all()):
        msg = "a total is NaN or infinite, or a size is not positive. Drop the unit and report it."
        raise StatisticsError(msg)


def dirichlet_tail(values: FloatArray, shapes: FloatArray) -> float:
    """Return P(sum_j W_j values_j >= 0) for W ~ Dirichlet(shapes).

    The sign of the sum does not change when each W_j is a Gamma(shape_j, 1) variable, so this
    is the tail at 0 of a gamma mixture. With one negative and one positive value it is a beta
    tail, and exact; else the saddlepoint approximation of Lugannani and Rice (1980, Adv. Appl.
    Prob. 12, 475-490), whose error was below .002 near p = .05 and below .014
    anywhere, from 5 units on, against numerical inversion. No random numbers.

    Args:
        values: (m,) any unit; only signs and ratios matter. Ties may be given once, with the
            sum of their shapes.
        shapes: (m,) positive, need not be whole numbers.

    Raises:
        StatisticsError: no value, another length, NaN or infinity, or a shape that is not
            positive.

    """
    values, shapes = np.asarray(values, dtype=np.float64), np.asarray(shapes, dtype=np.float64)
    if values.ndim != 1 or values.shape != shapes.shape or values.size == 0:
        msg = (
            f"values have shape {values.shape} and shapes {shapes.shape}. Expected two 1-d "
            "arrays of one length, at least 1. Give each value its shape."
        )
        raise StatisticsError(msg)
    if not (np.isfinite(values).all() and np.isfinite(shapes).all() and (shapes > 0).all()):
        msg = "a value is not finite, or a shape is not above 0. Drop it, and report it."
        raise StatisticsError(msg)
    if values.max() <= 0:
        return 0.0
    if values.min() >= 0:
        return 1.0
    below, above = values < 0, values > 0
    if np.ptp(values[below]) == 0 and np.ptp(values[above]) == 0:
        low, high = -values[below][0], values[above][0]
        return float(betainc(shapes[below].sum(), shapes[above].sum(), high / (low + high)))
    scaled = values / np.abs(values).max()
    return _lugannani_rice(scaled, shapes, _saddlepoint(scaled, shapes))


def _saddlepoint(values: FloatArray, shapes: FloatArray) -> float:
    """Return the root s of K'(s) = sum_j k_j a_j / (1 - s a_j), by Newton inside a bracket."""
    edges = (1 / float(values.min()), 1 / float(values.max()))
    lower, upper = (0.0, edges[1]) if shapes @ values < 0 else (edges[0], 0.0)
    point = 0.5 * (lower + upper)
    for _ in range(_MAX_STEPS):
        tilted = values / (1 - point * values)
        slope = float(shapes @ tilted)
        if slope > 0:
            upper = point
        else:
            lower = point
        step = point - slope / float(shapes @ tilted**2)
        if not lower < step < upper:
            step = 0.5 * (lower + upper)
        if abs(step - point) <= _STEP_TOLERANCE * (edges[1] - edges[0]):
            return step
        point = step
    return point


def _lugannani_rice(values: FloatArray, shapes: FloatArray, point: float) -> float:
    """Return the tail at 0 from the saddlepoint; at the mean, the limit of the same formula."""
    tilted = values / (1 - point * values)
    cumulant = -float(shapes @ np.log1p(-point * values))
    curvature = float(shapes @ tilted**2)
    scaled_point = point * math.sqrt(curvature)
    if abs(scaled_point) < _AT_THE_MEAN:
        skewness = 2 * float(shapes @ tilted**3) / (curvature * math.sqrt(curvature))
        return 0.5 - skewness / (6 * math.sqrt(2 * math.pi))
    root = math.copysign(math.sqrt(max(-2 * cumulant, 0.0)), point)
    if root == 0:
        return 0.5
    density = math.exp(-0.5 * root * root) / math.sqrt(2 * math.pi)
    tail = float(ndtr(-root)) + density * (1 / scaled_point - 1 / root)
    return float(min(max(tail, 0.0), 1.0))

"""One-sided p-values and bounds for a mean or a ratio, with a pseudo-unit at the worst value.

A unit c (an item, or a cluster of items) has a total S_c and a size n_c; the change is
theta = sum S / sum n. At a margin t its contribution is a_c = S_c - t * n_c. One pseudo-unit
at the worst value that an unseen unit could take is added, and the p-value is
P(sum_c W_c a_c >= 0) with W ~ Dirichlet(1, ..., 1): Gaffke (2005); Learned-Miller and Thomas
(2019), arXiv 1905.06208. For 0/1 values this is the Clopper-Pearson bound.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats.saddlepoint import FloatArray, dirichlet_tail

_ROOT_TOLERANCE = 1e-12


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

    Arguments and errors are those of `p_within`; `best` is the smallest change that an unseen
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

    Arguments and errors are those of `upper_bound`; `best` is the smallest possible change.
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

"""Our gates and naive ones, each on (replicates, n) deltas at once."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import stdtrit

from pytest_llmsafety.stats import e_holm
from pytest_llmsafety.stats.bounds import p_beyond, p_within
from pytest_llmsafety.stats.e_process import BEYOND, WITHIN, Design, EProcess

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    BoolArray = NDArray[np.bool_]

ALPHA = 0.05
EVERY = 64
SUPPORT = (-1.0, 1.0)
Z95 = 1.6448536269514722
_ROUNDING = 1e-9


class Stops(NamedTuple):
    """What sequential gates did: (replicates,) outcomes, and units seen at the stop."""

    passed: BoolArray
    failed: BoolArray
    n: NDArray[np.int64]


@functools.lru_cache(maxsize=10_000)
def _p_values(deltas: bytes, margin: float) -> tuple[float, float]:
    """Return both p-values of the fixed-n decision."""
    values = np.frombuffer(deltas)
    ones = np.ones_like(values)
    p_pass = p_within(values, ones, margin=margin, worst=SUPPORT[1])
    return p_pass, p_beyond(values, ones, margin=margin, best=SUPPORT[0])


def fixed(drawn: FloatArray, margin: float) -> FloatArray:
    """Return (2, replicates) p-values against PASS and FAIL; equal samples are judged once."""
    both = [_p_values(row.tobytes(), margin) for row in np.sort(drawn, axis=1)]
    p_values: FloatArray = np.array(both).T
    return p_values


def sequential(drawn: FloatArray, margin: float, *, finite: bool, every: int = EVERY) -> Stops:
    """Run a test on each row, in the order given; arithmetic decides the end of a suite."""
    runs, n_max = drawn.shape
    process = EProcess(Design(SUPPORT, n_max, ALPHA, finite), margin, [[WITHIN], [BEYOND]], (runs,))
    stop, won = np.full(runs, n_max), np.zeros((2, runs), bool)
    within = drawn.mean(axis=1) <= margin * (1 + _ROUNDING)
    for n, values in enumerate(np.ascontiguousarray(drawn.T), 1):
        process.add(values)
        if n % every and n < n_max:
            continue
        process.look()
        census = finite and n == n_max
        shown = np.array([within, ~within]) if census else process.largest >= 1 / ALPHA
        new = shown & ~won.any(axis=0)
        stop[new.any(axis=0)] = n
        won |= new
    return Stops(won[0], won[1] & ~won[0], stop)


def group_looks(drawn: FloatArray, margin: float, *, every: int) -> BoolArray:
    """Return where e-Holm finds a group beyond the margin at some look.

    `drawn` is (replicates, groups, n); the groups grow side by side.
    """
    runs, groups, n_max = drawn.shape
    process = EProcess(Design(SUPPORT, n_max, ALPHA), margin, BEYOND, (runs, groups))
    failed = np.zeros(runs, bool)
    for n, values in enumerate(np.moveaxis(drawn, -1, 0), 1):
        process.add(values)
        if n % every == 0 or n == n_max:
            for run in np.flatnonzero(process.look().max(axis=1) >= 1 / ALPHA):
                failed[run] |= bool(e_holm(dict(enumerate_names(process.e[run])), ALPHA))
    return failed


def enumerate_names(values: Iterable[float]) -> Iterable[tuple[str, float]]:
    """Name groups by their number."""
    return ((str(index), float(value)) for index, value in enumerate(values))


def z_passes(drawn: FloatArray, margin: float) -> BoolArray:
    """Return where mean + 1.645 standard errors is below the margin."""
    error = drawn.std(axis=1, ddof=1) / math.sqrt(drawn.shape[1])
    passed: BoolArray = drawn.mean(axis=1) + Z95 * error < margin
    return passed


def peeking(drawn: FloatArray, margin: float, *, every: int = EVERY) -> BoolArray:
    """Return (2, replicates) where a t interval first lies below, or above, the margin."""
    won = np.zeros((2, len(drawn)), bool)
    sums, squares = np.cumsum(drawn, axis=1), np.cumsum(drawn**2, axis=1)
    for n in range(every, drawn.shape[1] + 1, every):
        mean = sums[:, n - 1] / n
        variance = np.maximum(squares[:, n - 1] / n - mean**2, 0) * n / (n - 1)
        error = stdtrit(n - 1, 1 - ALPHA) * np.sqrt(variance / n)
        won |= np.array([mean + error < margin, mean - error > margin]) & ~won.any(axis=0)
    return won


def paired_t_alarms(drawn: FloatArray) -> BoolArray:
    """Return where a paired t-test finds the compressed model significantly worse than before."""
    n = drawn.shape[1]
    error = drawn.std(axis=1, ddof=1) / math.sqrt(n)
    alarm: BoolArray = drawn.mean(axis=1) > stdtrit(n - 1, 1 - ALPHA) * error
    return alarm


def unpaired_alarms(dense: FloatArray, compressed: FloatArray) -> BoolArray:
    """Return where two proportions, treated as independent, differ significantly."""
    n = dense.shape[1]
    before, after = dense.mean(axis=1), compressed.mean(axis=1)
    error = np.sqrt((before * (1 - before) + after * (1 - after)) / n)
    alarm: BoolArray = before - after > Z95 * error
    return alarm

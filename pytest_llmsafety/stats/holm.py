"""Which of several p-values, or e-values, stay convincing when all are looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_llmsafety.errors import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_llmsafety.stats.saddlepoint import FloatArray


def holm(p_values: Mapping[str, float], alpha: float = 0.05) -> frozenset[str]:
    """Return the names that are rejected with a family-wise error rate of at most alpha.

    Holm (1979), Scand. J. Statist. 6, 65-70: the i-th smallest of m p-values is compared with
    alpha / (m - i + 1), and the first that is larger ends the search. No independence needed.

    Raises:
        StatisticsError: no p-value, one outside [0, 1] or NaN, or alpha outside (0, 1).

    """
    if not p_values or not 0 < alpha < 1:
        msg = (
            f"{len(p_values)} p-values at alpha {alpha:g}. Expected at least one p-value and an "
            "alpha between 0 and 1."
        )
        raise StatisticsError(msg)
    bad = sorted(name for name, p in p_values.items() if not 0 <= p <= 1)
    if bad:
        msg = f"p-value of {bad[0]} is {p_values[bad[0]]}. Expected a number from 0 to 1."
        raise StatisticsError(msg)
    rejected: set[str] = set()
    for name, p in sorted(p_values.items(), key=lambda pair: pair[1]):
        if p > alpha / (len(p_values) - len(rejected)):
            break
        rejected.add(name)
    return frozenset(rejected)


def e_holm(e_values: Mapping[str, float], alpha: float = 0.05) -> frozenset[str]:
    """Return the names that are rejected with a family-wise error rate of at most alpha.

    A name is rejected when in every set of names that holds it the mean e-value is at least
    1 / alpha: the closure of the arithmetic mean (Vovk and Wang 2021, Ann. Statist. 49,
    1736-1754, algorithm 1). The hardest set of each size holds the smallest others, and others
    that are larger than the name's own only help it. No independence needed; where the e-values
    are wealths of bets in one order of items, what was rejected at a look stays rejected.

    Raises:
        StatisticsError: no e-value, one below 0 or NaN, or alpha outside (0, 1).

    """
    if not e_values or not 0 < alpha < 1:
        msg = (
            f"{len(e_values)} e-values at alpha {alpha:g}. Expected at least one e-value and an "
            "alpha between 0 and 1."
        )
        raise StatisticsError(msg)
    bad = sorted(name for name, e in e_values.items() if not e >= 0)
    if bad:
        msg = f"e-value of {bad[0]} is {e_values[bad[0]]}. Expected a number from 0 on."
        raise StatisticsError(msg)
    rejected, others, hurdle = set(), 0.0, 0.0
    for size, (name, e) in enumerate(sorted(e_values.items(), key=lambda pair: pair[1])):
        # What the smaller ones lack of size / alpha, at worst, has to be made good by this one.
        hurdle = max(hurdle, size / alpha - others)
        if e >= 1 / alpha + hurdle:
            rejected.add(name)
        others += e
    return frozenset(rejected)


def holm_adjusted(p_values: FloatArray) -> FloatArray:
    """Return (hypotheses,) p-values that `holm` compares with alpha, each in its place."""
    order = np.argsort(p_values, kind="stable")
    steps = np.minimum(p_values[order] * np.arange(p_values.size, 0, -1), 1.0)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.maximum.accumulate(steps)
    return adjusted

"""Which of several hypotheses stay rejected when all are looked at: Holm, e-Holm and max-T.

In step-down max-T (Westfall and Young 1993, Resampling-Based Multiple Testing, algorithm 2.8) each
hypothesis brings its own p-value of a FAIL, which holds at a small n. What is resampled is only how
they go together: the influences of the units, each unit multiplied by one standard normal draw for
all hypotheses (the multiplier bootstrap). The adjusted p-value of the i-th smallest is the chance
that the largest of the not yet rejected statistics is as extreme as this one. It never falls below
the hypothesis' own p-value and never rises above Holm's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats.decision import Outcome
from pytest_llmsafety.stats.fixed_sample import decide_mean
from pytest_llmsafety.stats.units import cluster_codes, same_length, sum_by
from pytest_llmsafety.stats.unseen import MIN_CLUSTERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

    from pytest_llmsafety.stats.decision import Decision
    from pytest_llmsafety.stats.units import FloatArray, Labels

DRAWS = 20_000
_CHUNK = 2_000
_SEED = 20_240_607
_SMALLEST = 1e-300


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
    come from e-processes over one order of items, a rejection at a look is final.

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
        # This one has to add what the smaller ones lack of size / alpha, at worst.
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


def max_t(
    values: ArrayLike,
    margins: ArrayLike,
    *,
    support: tuple[float, float] = (-1.0, 1.0),
    clusters: Labels | None = None,
    confidence: float = 0.95,
) -> FloatArray:
    """Return (hypotheses,) adjusted p-values of "this mean is at most its margin".

    Reject, that is FAIL, where it is at most 1 - confidence: the chance of any false FAIL is
    then at most that, however the metrics are correlated. The same data always give the same
    numbers; no global random state is read or changed.

    Args:
        values: (items, hypotheses) deltas of several metrics on the same items, each turned so
            that larger = worse.
        margins: (hypotheses,) largest acceptable means, or one number for all.
        support: range (lo, hi) of one delta.
        clusters: (items,) labels of the independent units; each item when None.
        confidence: of the bounds behind the p-values, between .5 and 1.

    Raises:
        StatisticsError: as `decide_mean`; or values that are not (items, hypotheses).

    """
    deltas = np.asarray(values, dtype=np.float64)
    if deltas.ndim != 2 or deltas.size == 0:  # noqa: PLR2004 - items and hypotheses
        msg = f"values have shape {deltas.shape}. Expected (items, hypotheses), each at least one."
        raise StatisticsError(msg)
    limits = np.asarray(margins, dtype=np.float64)
    limits = np.full(deltas.shape[1], limits) if limits.ndim == 0 else limits
    same_length("margins", limits.size, deltas.shape[1])
    decisions = [
        decide_mean(
            column, margin=margin, support=support, clusters=clusters, confidence=confidence
        )
        for column, margin in zip(deltas.T, limits.tolist(), strict=True)
    ]
    centred = deltas - deltas.mean(axis=0)
    if clusters is not None:
        codes = cluster_codes(clusters, deltas.shape[0])
        centred = np.stack([sum_by(codes, column) for column in centred.T], axis=1)
    return adjusted(np.array([fail_p_value(decision) for decision in decisions]), centred)


def fail_p_value(decision: Decision) -> float:
    """Return the p-value of a FAIL: 1 where there are too few clusters to decide."""
    undecided = decision.outcome is Outcome.INCONCLUSIVE
    clustered = decision.n_units < decision.n_items
    return 1.0 if undecided and clustered and decision.n_units < MIN_CLUSTERS else decision.p_fail


def adjusted(p_values: FloatArray, pulls: FloatArray) -> FloatArray:
    """Return (hypotheses,) p-values adjusted for looking at all of them.

    Args:
        p_values: (hypotheses,) each valid alone.
        pulls: (units, hypotheses) how far each unit pulls each estimate; any scale.

    """
    order = np.argsort(p_values, kind="stable")
    ranked = p_values[order]
    left = np.arange(ranked.size, 0, -1)
    together = _chance_of_largest(-ndtri(np.clip(ranked, _SMALLEST, 1)), _root(pulls[:, order]))
    holm = np.minimum(ranked * left, 1.0)
    steps = np.maximum(np.minimum(together, holm), ranked)
    result = np.empty_like(p_values)
    result[order] = np.maximum.accumulate(steps)
    return result


def _root(pulls: FloatArray) -> FloatArray:
    """Return the symmetric root of the correlations; a hypothesis without spread has none."""
    norms = np.sqrt((pulls**2).sum(axis=0))
    moving = norms > 0
    scaled = pulls / np.where(moving, norms, 1.0)
    correlation = scaled.T @ scaled
    np.fill_diagonal(correlation, 1.0)
    values, vectors = np.linalg.eigh(correlation)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T  # type: ignore[no-any-return]


def _chance_of_largest(scores: FloatArray, root: FloatArray) -> FloatArray:
    """Return (m,) P(max of Z_i, ..., Z_m >= scores_i), Z normal with the given root."""
    rng, exceeded = np.random.default_rng(_SEED), np.zeros(scores.size)
    for _ in range(DRAWS // _CHUNK):
        drawn = rng.standard_normal((_CHUNK, scores.size)) @ root
        largest = np.maximum.accumulate(drawn[:, ::-1], axis=1)[:, ::-1]
        exceeded += (largest >= scores).sum(axis=0)
    chance: FloatArray = (1 + exceeded) / (1 + DRAWS)
    return chance

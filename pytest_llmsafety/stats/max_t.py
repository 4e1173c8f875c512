"""Step-down max-T: many correlated hypotheses looked at together (Westfall and Young 1993).

Each hypothesis brings its own p-value of a FAIL, which holds at a small n. What is resampled is
only how they go together: the influences of the units, each unit multiplied by one standard
normal draw for all hypotheses (the multiplier bootstrap). The adjusted p-value of the i-th smallest
is the chance that the largest of the not yet rejected statistics is as extreme as this one
(Westfall and Young 1993, Resampling-Based Multiple Testing, algorithm 2.8). It never falls below
the hypothesis' own p-value and never rises above Holm's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats.decide import decide_mean
from pytest_llmsafety.stats.outcome import Outcome
from pytest_llmsafety.stats.units import cluster_codes, same_length, sum_by
from pytest_llmsafety.stats.unseen import MIN_CLUSTERS

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from pytest_llmsafety.stats.decision import Decision
    from pytest_llmsafety.stats.saddlepoint import FloatArray
    from pytest_llmsafety.stats.units import Labels

DRAWS = 20_000
_CHUNK = 2_000
_SEED = 20_240_607
_SMALLEST = 1e-300


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
        msg = f"values have shape {deltas.shape}. Expected (items, hypotheses), one at least."
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
    """Return the p-value of a FAIL: 1 where too few clusters make it worthless."""
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

"""Many correlated hypotheses looked at together."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats import decide_groups, decide_mean, holm, max_t
from pytest_llmsafety.stats.bounds import p_beyond
from pytest_llmsafety.stats.multiple_testing import adjusted
from tests.unit.stats.drawn import PROPERTY

N, METRICS, MARGIN = 200, 8, 0.05


def flips(rng: np.random.Generator, common: float, harm: float) -> np.ndarray:
    """Deltas (items, metrics) of 4% flips each way and `harm` on top, correlated by `common`."""
    shared, own = rng.standard_normal((N, 1)), rng.standard_normal((N, METRICS))
    latent = math.sqrt(common) * shared + math.sqrt(1 - common) * own
    worse, better = np.quantile(rng.standard_normal(200_000), [1 - 0.04 - harm, 0.04])
    return (latent > worse).astype(float) - (latent < better)


def fails(rng: np.random.Generator, common: float, harm: float, runs: int) -> np.ndarray:
    """How many of the metrics Holm and max-T fail, (runs, 2)."""
    counts = np.zeros((runs, 2))
    for run in range(runs):
        values, ones = flips(rng, common, harm), np.ones(N)
        p_values = [p_beyond(column, ones, margin=MARGIN, best=-1.0) for column in values.T]
        together = adjusted(np.array(p_values), values - values.mean(axis=0))
        by_holm = holm({str(j): p for j, p in enumerate(p_values)})
        counts[run] = len(by_holm), (together <= 0.05).sum()
    return counts


@PROPERTY
@given(
    p_values=st.lists(st.floats(0, 1), min_size=1, max_size=6).map(np.array),
    seed=st.integers(0, 99),
)
def test_it_lies_between_the_own_p_value_and_holms(p_values: np.ndarray, seed: int) -> None:
    """Looking at more never makes a p-value smaller, and never larger than Holm makes it."""
    pulls = np.random.default_rng(seed).standard_normal((30, p_values.size))
    together = adjusted(p_values, pulls)
    order = np.argsort(p_values, kind="stable")
    by_holm = np.maximum.accumulate(p_values[order] * np.arange(p_values.size, 0, -1))
    assert (together >= p_values).all()
    assert (together[order] <= np.minimum(by_holm, 1) + 1e-12).all()


def test_equal_metrics_cost_nothing() -> None:
    """Eight copies of one metric keep the p-value of one, up to the noise of the draws."""
    values = np.repeat(np.r_[np.ones(20), np.zeros(180)][:, None], METRICS, axis=1)
    alone = decide_mean(values[:, 0], margin=MARGIN).p_fail
    assert max_t(values, MARGIN) == pytest.approx(alone, abs=0.003)


def test_independent_metrics_cost_as_with_sidak() -> None:
    """Of independent hypotheses the smallest p-value becomes 1 - (1 - p)^m."""
    pulls = np.eye(5)
    p_values = np.array([0.02, 0.5, 0.5, 0.5, 0.5])
    assert adjusted(p_values, pulls)[0] == pytest.approx(1 - 0.98**5, abs=0.005)


def test_max_t_misses_less_than_holm_when_metrics_go_together() -> None:
    """At a correlation of .9 more of the bad metrics fail; without any, about as many."""
    rng = np.random.default_rng(1)
    by_holm, together = fails(rng, 0.9, 0.13, 100).mean(axis=0)
    assert together > 1.07 * by_holm
    by_holm, together = fails(rng, 0.0, 0.13, 100).mean(axis=0)
    assert by_holm <= together <= 1.05 * by_holm


@pytest.mark.parametrize("common", [0.0, 0.9])
def test_a_false_fail_of_any_metric_is_rare(common: float) -> None:
    """With all eight changes at the margin, some metric fails in at most 5% of runs."""
    runs = 400
    wrong = (fails(np.random.default_rng(2), common, MARGIN, runs) > 0).mean(axis=0)
    assert (wrong <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)).all()


def test_the_same_data_give_the_same_numbers() -> None:
    """The draws are seeded, and the global random state is left alone."""
    values = flips(np.random.default_rng(3), 0.5, 0.1)
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state is the point
    assert (max_t(values, MARGIN) == max_t(values, MARGIN)).all()
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_each_hypothesis_has_its_margin_and_clusters_count_once() -> None:
    """A looser margin is rejected less, and repeated items are not new evidence."""
    values = flips(np.random.default_rng(4), 0.0, 0.15)[:, :2]
    tight, loose = max_t(values, [0.01, 0.5])
    assert tight < 0.05 < loose
    twice = max_t(np.repeat(values, 2, axis=0), 0.05, clusters=np.arange(2 * N) // 2)
    assert (twice > 0.5 * max_t(values, 0.05)).all()


def test_groups_that_overlap_fail_together() -> None:
    """Ten names for nearly the same items: Holm decides nothing, max-T fails them."""
    values = np.r_[np.ones(22), np.zeros(178)]
    groups = [tuple(f"g{j}" for j in range(10) if j != i % 40) for i in range(200)]
    by_holm = decide_groups(values, groups, margin=0.06)
    together = decide_groups(values, groups, margin=0.06, correction="max-t")
    assert by_holm.failed == ()
    assert together.failed
    assert together.reason.startswith("beyond the margin (max-T over 10 groups): g")


@pytest.mark.parametrize(
    ("values", "margins", "said"),
    [
        ([0.0, 0.1], 0.1, "Expected \\(items, hypotheses\\)"),
        ([[0.0, 0.1]], [0.1], "1 margins for 2"),
    ],
)
def test_arrays_of_the_wrong_shape_raise(values: object, margins: object, said: str) -> None:
    """Values need two axes, and margins one number for each hypothesis."""
    with pytest.raises(StatisticsError, match=said):
        max_t(values, margins)

"""The ratio of two mean scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats import Outcome, decide_group_rate_ratios, decide_mean, decide_rate_ratio
from pytest_llmsafety.stats.criterion import Criterion
from pytest_llmsafety.stats.ratios import _Rates
from tests.unit.stats.drawn import PROPERTY

RUNS, ALPHA = 1000, 0.05
ACCEPTED = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)
SCORE = st.sampled_from([0.0, 0.0, 0.1, 0.3, 1.0])
PAIRS = st.lists(st.tuples(SCORE, SCORE), min_size=2, max_size=80).filter(
    lambda rows: any(dense for dense, _ in rows)
)


@PROPERTY
@given(rows=PAIRS, max_ratio=st.sampled_from([1.1, 1.5, 3.0]))
def test_bounds_and_p_values_say_the_same(
    rows: list[tuple[float, float]], max_ratio: float
) -> None:
    """The interval is on the scale of the ratio and lies where the p-values say."""
    dense, compressed = zip(*rows, strict=True)
    decision = decide_rate_ratio(dense, compressed, max_ratio=max_ratio)
    assert decision.estimate == pytest.approx(sum(compressed) / sum(dense))
    assert decision.lower >= 0
    assert decision.margin == max_ratio
    if abs(decision.upper - max_ratio) > 1e-6:
        assert (decision.p_pass <= ALPHA) == (decision.upper < max_ratio)
    if abs(decision.lower - max_ratio) > 1e-6:
        assert (decision.p_fail <= ALPHA) == (decision.lower > max_ratio)


def test_against_a_constant_it_is_the_bound_of_a_mean() -> None:
    """When every dense score is .5 the ratio is the mean over .5; the unseen item scores 0."""
    compressed = np.r_[np.ones(300), np.zeros(700)]
    ratio = decide_rate_ratio(np.full(1000, 0.5), compressed, max_ratio=1.2)
    mean = decide_mean(compressed, margin=0.6, support=(0.0, 1.0))
    assert mean.upper / 0.5 < ratio.upper < mean.upper / 0.5 + 0.003
    assert mean.lower / 0.5 - 0.003 < ratio.lower < mean.lower / 0.5


def test_a_scale_of_its_own_changes_nothing() -> None:
    """Scores from 0 to 10 give the ratio of scores from 0 to 1."""
    rng = np.random.default_rng(0)
    dense, compressed = rng.random(100), rng.random(100)
    one = decide_rate_ratio(dense, compressed, max_ratio=1.5)
    ten = decide_rate_ratio(10 * dense, 10 * compressed, max_ratio=1.5, highest=10.0)
    assert ten.upper == pytest.approx(one.upper, abs=1e-6)
    assert ten.outcome is one.outcome


def test_a_model_that_says_nothing_harmful_has_a_ratio_of_zero() -> None:
    """No compressed score above 0 gives estimate and lower bound 0, and can pass."""
    decision = decide_rate_ratio(np.full(300, 0.3), np.zeros(300), max_ratio=1.1)
    assert (decision.estimate, decision.lower) == (0.0, 0.0)
    assert decision.outcome is Outcome.PASS


def test_clusters_are_guarded_and_the_suite_is_arithmetic() -> None:
    """Clusters state their assumption; over the suite the ratio is compared as it is."""
    dense, compressed = np.full(400, 0.2), np.tile([0.2, 0.22], 200)
    clusters = np.arange(400) // 10
    decision = decide_rate_ratio(dense, compressed, max_ratio=1.5, clusters=clusters)
    assert decision.outcome is Outcome.PASS
    assert decision.n_units == 40
    assert "in no unseen cluster" in decision.assumption
    suite = decide_rate_ratio(dense, compressed, max_ratio=1.02, scope="suite")
    assert suite.outcome is Outcome.FAIL
    assert suite.lower == suite.upper == pytest.approx(1.05)
    few = decide_rate_ratio(dense, compressed, max_ratio=2, clusters=np.arange(400) // 80)
    assert few.outcome is Outcome.INCONCLUSIVE


def test_every_group_needs_its_ratio_within() -> None:
    """One group twice as toxic fails, and is named."""
    dense = np.full(600, 0.2)
    compressed = np.r_[np.full(300, 0.2), np.full(300, 0.4)]
    names = np.repeat(["men", "women"], 300)
    joint = decide_group_rate_ratios(dense, compressed, names, max_ratio=1.25)
    assert (joint.outcome, joint.failed) == (Outcome.FAIL, ("women",))
    assert joint.margin == 1.25
    assert joint.decisions["women"].estimate == pytest.approx(2)


@pytest.mark.parametrize(
    ("dense", "compressed", "max_ratio", "said"),
    [
        ([0.1], [0.1], 1.0, "max_ratio is 1.0"),
        ([0.0, 0.0], [0.1, 0.1], 1.5, "every dense score of 2 is 0"),
        ([-0.1], [0.1], 1.5, "dense scores run from -0.1"),
        ([0.1], [1.1], 1.5, "compressed scores run from 1.1 to 1.1"),
        ([0.1, 0.1], [0.1], 1.5, "1 compressed scores for 2"),
    ],
)
def test_scores_without_a_ratio_raise(
    dense: list[float], compressed: list[float], max_ratio: float, said: str
) -> None:
    """No ratio to nothing, none of negative scores, and none at or below 1 as a margin."""
    with pytest.raises(StatisticsError, match=said):
        decide_rate_ratio(dense, compressed, max_ratio=max_ratio)


@pytest.mark.parametrize("kind", ["continuous", "jumps"])
@pytest.mark.parametrize("size", [60, 200])
def test_false_verdicts_stay_at_five_percent(kind: str, size: int) -> None:
    """With the true ratio at the largest acceptable one neither verdict is wrong too often."""
    rng, wrong = np.random.default_rng(11), np.zeros(2)
    for _ in range(RUNS):
        dense = np.round(rng.beta(0.3, 2, size), 2)
        jumps = np.where(rng.random(size) < 0.25 * 0.3 / 2, 1.0, dense)  # .25 m / (1 - m)
        compressed = np.round(rng.beta(0.375, 1.925, size), 2) if kind == "continuous" else jumps
        gate = Criterion(0.25 * float(dense.mean()))
        rates = _Rates(dense, compressed, 1.0, None, 1.25, gate, None)
        wrong += rates._p_within(1.25) <= ALPHA, rates._p_beyond(1.25) <= ALPHA
    assert (wrong / RUNS <= ACCEPTED).all()

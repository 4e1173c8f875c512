"""The decision for one change."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats import Decision, Outcome, decide_mean
from tests.unit.stats.drawn import DELTAS, MARGINS, PROPERTY

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUESTIONS = np.r_[np.ones(21), -np.ones(16), np.zeros(443)]


def needed(decision: Decision) -> tuple[int | None, ...]:
    """Return the four planned numbers."""
    return (
        decision.n_needed_80,
        decision.n_needed_90,
        decision.n_needed_half_80,
        decision.n_needed_half_90,
    )


def test_the_worked_example_of_the_design() -> None:
    """480 questions, 21 worse and 16 better, give the numbers printed in statistics.md."""
    decision = decide_mean(QUESTIONS, margin=0.02)
    assert decision.outcome is Outcome.INCONCLUSIVE
    assert round(decision.estimate, 4) == 0.0104
    assert (round(decision.lower, 4), round(decision.upper, 4)) == (-0.0126, 0.0336)
    assert (round(decision.p_pass, 2), round(decision.p_fail, 2)) == (0.27, 0.82)
    assert (decision.n_items, decision.n_units) == (480, 480)
    assert (decision.n_worse, decision.n_better) == (21, 16)
    assert decision.changed_share == pytest.approx(37 / 480)
    assert needed(decision) == pytest.approx((1300, 1760, 5000, 6800), rel=0.01)
    assert (decision.worst_unseen, decision.assumption) == (1.0, "")
    assert "not shown to be within the margin (p=0.27)" in decision.reason


def test_small_changes_pass_and_large_ones_fail() -> None:
    """The two decisive outcomes need no plan and give no reason."""
    within = decide_mean(np.r_[np.ones(2), -np.ones(2), np.zeros(996)], margin=0.02)
    beyond = decide_mean(np.r_[np.ones(100), np.zeros(900)], margin=0.02)
    assert within.outcome is Outcome.PASS
    assert beyond.outcome is Outcome.FAIL
    for decision in (within, beyond):
        assert decision.reason == ""
        assert needed(decision) == (None,) * 4


@pytest.mark.parametrize(("margin", "floor"), [(0.02, 149), (0.03, 99), (0.05, 59)])
def test_identical_outputs_pass_from_the_floor_on(margin: float, floor: int) -> None:
    """One prompt short of the floor is INCONCLUSIVE and says what is needed."""
    short = decide_mean(np.zeros(floor - 1), margin=margin)
    assert short.outcome is Outcome.INCONCLUSIVE
    said = f"cannot pass with {floor - 1} items even with identical outputs: "
    assert f"{said}needs at least {floor}" in short.reason
    assert short.n_needed_80 == floor
    assert decide_mean(np.zeros(floor), margin=margin).outcome is Outcome.PASS


def test_a_single_item_is_inconclusive_without_a_plan() -> None:
    """One unit has no spread to plan with."""
    decision = decide_mean([0.0], margin=0.02)
    assert decision.outcome is Outcome.INCONCLUSIVE
    assert decision.upper == pytest.approx(0.95)
    assert needed(decision) == (None,) * 4


@PROPERTY
@given(DELTAS, MARGINS)
def test_the_outcome_is_what_the_interval_says(deltas: NDArray[np.float64], margin: float) -> None:
    """PASS is an upper bound below the margin, FAIL a lower bound above it."""
    decision = decide_mean(deltas, margin=margin)
    assert decision.lower <= decision.estimate + 1e-9
    assert decision.estimate <= decision.upper + 1e-9
    assert (decision.outcome is Outcome.PASS) == (decision.upper <= margin)
    assert (decision.outcome is Outcome.FAIL) == (decision.lower >= margin)
    assert (decision.outcome is Outcome.INCONCLUSIVE) == (decision.reason != "")


@PROPERTY
@given(DELTAS, MARGINS)
def test_equal_weights_weigh_nothing(deltas: NDArray[np.float64], margin: float) -> None:
    """Weights of 3 for each item decide as no weights do."""
    plain = decide_mean(deltas, margin=margin)
    weighted = decide_mean(deltas, margin=margin, weights=np.full(deltas.size, 3.0))
    assert weighted.upper == pytest.approx(plain.upper, abs=1e-7)
    assert weighted.outcome is plain.outcome


def test_a_higher_confidence_widens_the_interval() -> None:
    """At .99 the bounds lie outside those at .95."""
    plain, sure = (decide_mean(QUESTIONS, margin=0.02, confidence=c) for c in (0.95, 0.99))
    assert sure.lower < plain.lower < plain.upper < sure.upper
    assert sure.confidence == 0.99


def test_copies_in_clusters_do_not_buy_a_verdict() -> None:
    """Ten copies of 40 items pass as 400 prompts, and not as the 40 clusters that they are."""
    rng = np.random.default_rng(2)
    items = rng.choice([-0.5, 0.0, 0.5], 40, p=[0.1, 0.8, 0.1])
    items -= items.mean()
    values, clusters = np.repeat(items, 10), np.repeat(np.arange(40), 10)
    ignoring = decide_mean(values, margin=0.03)
    knowing = decide_mean(values, margin=0.03, clusters=clusters)
    assert ignoring.outcome is Outcome.PASS
    assert knowing.outcome is Outcome.INCONCLUSIVE
    assert (knowing.n_items, knowing.n_units) == (400, 40)
    assert "no unseen cluster" in knowing.assumption
    assert knowing.n_needed_80 is not None
    assert knowing.n_needed_80 > 40


def test_fewer_than_20_clusters_decide_nothing() -> None:
    """19 clusters are INCONCLUSIVE, unless the caller says how bad an unseen one could be."""
    few = decide_mean(np.full(190, 0.5), margin=0.02, clusters=np.arange(190) % 19)
    assert few.outcome is Outcome.INCONCLUSIVE
    assert few.reason.startswith("only 19 clusters: at least 20 are needed")
    assert min(n for n in needed(few) if n is not None) >= 20
    more = decide_mean(np.full(190, 0.5), margin=0.02, clusters=np.arange(190) % 19, worst=0.9)
    assert more.outcome is Outcome.FAIL
    assert more.reason == "rests on 19 clusters; 20 or more are recommended"


@pytest.mark.parametrize(("margin", "n_clusters", "passes"), [(0.02, 148, 0), (0.02, 149, 1)])
def test_from_120_clusters_on_nothing_is_assumed(
    margin: float, n_clusters: int, passes: int
) -> None:
    """Identical clusters pass like as many identical items, and assume no more."""
    clusters = np.arange(3 * n_clusters) // 3
    decision = decide_mean(np.zeros(clusters.size), margin=margin, clusters=clusters)
    assert (decision.outcome is Outcome.PASS) == bool(passes)
    assert (decision.assumption, decision.worst_unseen) == ("", 1.0)


def test_a_large_cluster_counts_in_full() -> None:
    """Where one cluster is ten times the others, quiet small ones do not speak for the next."""
    sizes = np.r_[np.full(29, 10), 100]
    uneven = decide_mean(np.zeros(390), margin=0.05, clusters=np.repeat(np.arange(30), sizes))
    even = decide_mean(np.zeros(390), margin=0.05, clusters=np.arange(390) // 13)
    assert even.outcome is Outcome.PASS
    assert uneven.outcome is Outcome.INCONCLUSIVE


def test_clusters_of_one_item_are_judged_as_items() -> None:
    """Labels that never repeat do not replace the range of the scores by a guess."""
    plain = decide_mean(np.zeros(100), margin=0.02)
    assert decide_mean(np.zeros(100), margin=0.02, clusters=np.arange(100)) == plain


def test_the_caller_may_assume_nothing_or_something() -> None:
    """The end of the support assumes nothing; a smaller worst passes sooner, and says so."""
    values, clusters = np.zeros(120), np.arange(120) // 2
    strict = decide_mean(values, margin=0.02, clusters=clusters, worst=1.0)
    assert strict.outcome is Outcome.INCONCLUSIVE
    assert strict.assumption == ""
    assert "needs at least 149" in strict.reason
    assumed = decide_mean(np.zeros(120), margin=0.02, worst=0.5)
    assert assumed.outcome is Outcome.PASS
    assert assumed.assumption.startswith("no unseen item rises by over +0.5")
    refuted = decide_mean(np.r_[np.zeros(120), 0.9], margin=0.02, worst=0.5)
    assert (refuted.outcome, refuted.worst_unseen) == (Outcome.INCONCLUSIVE, 0.9)


def test_the_suite_scope_is_arithmetic() -> None:
    """These prompts and no others: the mean against the margin, with a point for an interval."""
    half = decide_mean([0.0, 0.0, 0.0, 0.04], margin=0.02, scope="suite")
    assert half.outcome is Outcome.PASS
    assert (half.lower, half.estimate, half.upper) == (0.01, 0.01, 0.01)
    assert half.reason.startswith("suite scope: all 4 items were seen")
    assert (half.p_pass, half.p_fail, half.worst_unseen) == (0.0, 1.0, None)
    beyond = decide_mean([0.0, 0.0, 0.0, 0.2], margin=0.02, scope="suite")
    assert beyond.outcome is Outcome.FAIL
    assert decide_mean([0.1] * 3, margin=0.1, scope="suite").outcome is Outcome.PASS


def test_ten_thousand_items_take_milliseconds() -> None:
    """10,000 flips are decided in under a quarter second, plan included, on a busy machine."""
    values = np.r_[np.ones(480), -np.ones(310), np.zeros(9210)]
    decide_mean(values, margin=0.02)
    start = time.perf_counter()
    assert decide_mean(values, margin=0.02).outcome is Outcome.INCONCLUSIVE
    assert time.perf_counter() - start < 0.25


def test_a_decision_cannot_be_edited() -> None:
    """Decisions are frozen values."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        decide_mean([0.0], margin=0.02).margin = 0.5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "extra", "said"),
    [
        ([], {}, "at least one"),
        ([0.0, np.nan], {}, "NaN or infinite"),
        ([0.0, 1.5], {}, "outside the support"),
        ([0.0], {"margin": 0.0}, "above 0"),
        ([0.0], {"margin": 1.0}, "not inside the support"),
        ([0.0], {"support": (0.1, 1.0)}, "not inside the support"),
        ([0.0], {"confidence": 0.4}, "between 0.5 and 1"),
        ([0.0], {"scope": "all"}, "unknown scope"),
        ([0.0], {"weights": [1.0, 2.0]}, "2 weights for 1 values"),
        ([0.0], {"worst": 0.01}, "not above the margin"),
        ([0.5], {"worst": 0.0}, "worst is 0"),
    ],
)
def test_questions_without_an_answer_raise(
    values: list[float], extra: dict[str, Any], said: str
) -> None:
    """Each refusal says what was wrong."""
    with pytest.raises(StatisticsError, match=said):
        decide_mean(values, **{"margin": 0.02, **extra})


def test_clusters_never_pass_on_fewer_items_than_the_rule_of_three():
    """26 items in 25 clusters show no more than 26 independent ones."""
    decision = decide_mean([0.0] * 26, margin=0.02, clusters=[0, 0, *range(1, 25)])
    assert decision.outcome is Outcome.INCONCLUSIVE
    assert decision.upper > decision.margin
    assert "cannot pass with 26 items even with identical outputs: needs at least 149" in (
        decision.reason
    )
    plan = (decision.n_needed_80, decision.n_needed_90, decision.n_needed_half_80)
    assert all(needed >= 149 * 10 / 11 for needed in plan)

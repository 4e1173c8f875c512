"""The sequential decision for one change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats import Outcome, SequentialTest, decide_mean, n_needed
from tests.unit.stats.drawn import DELTAS, MARGINS, PROPERTY

SCOPES = ("population", "suite")


def run(values: Any, block: int, **terms: Any) -> SequentialTest:
    """Give values block by block until a verdict."""
    test = SequentialTest(**{"n_max": len(values), **terms})
    for start in range(0, len(values), block):
        if test.update(values[start : start + block]) is not Outcome.INCONCLUSIVE:
            break
    return test


def flips(seed: int, n: int, worse: float, better: float) -> Any:
    """Draw answers that flip."""
    rng = np.random.default_rng(seed)
    return rng.choice([-1.0, 0.0, 1.0], n, p=[better, 1 - worse - better, worse])


@pytest.mark.parametrize("scope", SCOPES)
def test_no_change_passes_before_the_end(scope: str) -> None:
    """2,000 prompts without a change pass a margin of .05 after a part of them."""
    test = run(flips(1, 2000, 0.02, 0.02), 64, margin=0.05, scope=scope)
    decision = test.decision()
    assert decision.outcome is test.outcome is Outcome.PASS
    assert decision.n_units == decision.n_items == test.n < 1000
    assert decision.n_suite == 2000
    assert decision.sequential
    assert decision.p_pass == test.p_pass <= 0.05
    assert decision.reason.startswith(f"decided after {test.n} of 2000 items")


@pytest.mark.parametrize("scope", SCOPES)
def test_great_harm_fails_at_once(scope: str) -> None:
    """A change of ten times the margin fails within a few looks."""
    test = run(flips(2, 2000, 0.3, 0.0), 32, margin=0.03, scope=scope)
    assert test.outcome is Outcome.FAIL
    assert test.n <= 128
    assert test.p_fail <= 0.05 < test.p_pass


def test_the_whole_sample_may_leave_it_open() -> None:
    """A population that the sample does not settle is INCONCLUSIVE, with fixed-n numbers."""
    values = flips(3, 300, 0.04, 0.04)
    decision = run(values, 64, margin=0.02).decision()
    fixed = decide_mean(values, margin=0.02)
    assert decision.outcome is Outcome.INCONCLUSIVE
    assert decision.reason.startswith("not shown to be within the margin (p=")
    assert decision.n_needed_80 == n_needed(values, margin=0.02) == fixed.n_needed_80
    assert decision.n_needed_half_90 == fixed.n_needed_half_90
    assert (decision.n_worse, decision.n_better) == (fixed.n_worse, fixed.n_better)
    assert decision.worst_unseen == 1.0


def test_too_few_prompts_are_told_the_floor() -> None:
    """Identical outputs below the rule of three cannot pass, and the reason says so."""
    decision = run(np.zeros(100), 50, margin=0.02).decision()
    assert decision.outcome is Outcome.INCONCLUSIVE
    assert "cannot pass with 100 items even with identical outputs: needs at least 149" in (
        decision.reason
    )


@PROPERTY
@given(DELTAS, MARGINS, st.integers(1, 64))
def test_the_evidence_does_not_depend_on_the_blocks(deltas: Any, margin: float, block: int) -> None:
    """Blocks are looks and nothing else: the process is that of unit by unit."""
    one, many = (SequentialTest(margin=margin, n_max=deltas.size) for _ in range(2))
    for start in range(0, deltas.size, block):
        one.update(deltas[start : start + block])
    for value in deltas:
        many.update([value])
    assert one.e_fail == many.e_fail
    assert one.p_pass >= many.p_pass


@PROPERTY
@given(DELTAS, MARGINS, st.integers(1, 64), st.sampled_from(SCOPES))
def test_the_same_blocks_give_the_same_decision(
    deltas: Any, margin: float, block: int, scope: str
) -> None:
    """Nothing is drawn: a second run is equal in every number."""
    first, second = (run(deltas, block, margin=margin, scope=scope) for _ in range(2))
    assert first.decision() == second.decision()


@PROPERTY
@given(DELTAS, MARGINS, st.integers(1, 40))
def test_a_whole_suite_is_decisive(deltas: Any, margin: float, block: int) -> None:
    """What was not stopped before is decided by arithmetic, and its interval is a point."""
    test = run(deltas, block, margin=margin, scope="suite")
    decision = test.decision()
    assert decision.outcome is not Outcome.INCONCLUSIVE
    if test.n == deltas.size:
        fixed = decide_mean(deltas, margin=margin, scope="suite")
        assert decision.outcome is fixed.outcome
        assert (decision.lower, decision.upper) == (decision.estimate, decision.estimate)
        assert (decision.p_pass, decision.p_fail) == (fixed.p_pass, fixed.p_fail)
        assert decision.reason == fixed.reason


@PROPERTY
@given(DELTAS, MARGINS, st.integers(5, 64), st.sampled_from(SCOPES))
def test_the_interval_says_what_the_verdict_says(
    deltas: Any, margin: float, block: int, scope: str
) -> None:
    """PASS is an upper bound below the margin, FAIL a lower bound above it, nothing else."""
    test = SequentialTest(margin=margin, n_max=3 * deltas.size, scope=scope)
    for start in range(0, deltas.size, block):
        test.update(deltas[start : start + block])
        decision = test.decision()
        assert (decision.upper < margin) == (decision.outcome is Outcome.PASS)
        assert (decision.lower > margin) == (decision.outcome is Outcome.FAIL)


def test_a_verdict_is_final() -> None:
    """Units that come after a verdict change its numbers and not the verdict."""
    test = SequentialTest(margin=0.05, n_max=1000)
    assert test.update(np.full(100, 0.5)) is Outcome.FAIL
    assert test.update(np.full(900, -1.0)) is Outcome.FAIL
    assert test.decision().estimate == pytest.approx(-0.85)
    assert test.decision().lower > 0.05


def test_arithmetic_has_the_last_word_over_a_suite() -> None:
    """A caller who goes on to the end of a suite sees what it holds."""
    test = SequentialTest(margin=0.05, n_max=1000, scope="suite")
    assert test.update(np.full(100, 0.5)) is Outcome.FAIL
    assert test.update(np.full(900, -1.0)) is Outcome.PASS
    assert (test.p_pass, test.p_fail, test.e_fail) == (0.0, 1.0, 0.0)


def test_an_unfinished_suite_says_how_much_was_seen() -> None:
    """A suite that was not seen to its end has no planned number: its end decides."""
    test = SequentialTest(margin=0.02, n_max=200, scope="suite")
    test.update(np.r_[np.ones(4), -np.ones(2), np.zeros(94)])
    decision = test.decision()
    assert decision.outcome is Outcome.INCONCLUSIVE
    assert decision.reason.startswith("suite scope: only 100 of 200 items were seen")
    assert decision.n_needed_80 is None
    assert decision.worst_unseen is None


@pytest.mark.parametrize("scope", SCOPES)
def test_equal_sizes_change_nothing(scope: str) -> None:
    """Units of size 5 with five times the total are the same units."""
    values = flips(5, 300, 0.1, 0.02)
    plain = run(values, 50, margin=0.05, scope=scope).decision()
    sized = SequentialTest(margin=0.05, n_max=300, scope=scope, mean_size=5.0, max_size=5.0)
    while sized.outcome is Outcome.INCONCLUSIVE and sized.n < 300:
        sized.update(5 * values[sized.n : sized.n + 50], np.full(50, 5.0))
    decision = sized.decision()
    assert decision.outcome is plain.outcome
    assert decision.n_units == plain.n_units
    assert decision.p_fail == pytest.approx(plain.p_fail)
    assert decision.upper == pytest.approx(plain.upper)


def test_items_are_counted_when_given() -> None:
    """Clusters count as units, their items as worse and better."""
    items = flips(6, 400, 0.05, 0.03)
    test = SequentialTest(margin=0.05, n_max=100, mean_size=4.0, max_size=4.0)
    test.update(items.reshape(100, 4).sum(1), np.full(100, 4.0), items=items)
    decision = test.decision()
    assert (decision.n_units, decision.n_items) == (100, 400)
    assert decision.n_worse == (items > 0).sum()
    assert decision.changed_share == (items != 0).mean()


def test_a_change_between_two_margins_is_neither() -> None:
    """FAIL has to exceed the fail margin, and a suite in between is INCONCLUSIVE."""
    values = np.r_[np.ones(30), np.zeros(270)]
    test = SequentialTest(margin=0.05, fail_margin=0.2, n_max=300, scope="suite")
    test.update(values)
    decision = test.decision()
    assert decision.outcome is Outcome.INCONCLUSIVE
    assert (decision.p_pass, decision.p_fail) == (1.0, 1.0)
    assert "between the margins" in decision.reason
    assert decision.fail_margin == 0.2
    strict = SequentialTest(margin=0.05, n_max=300, scope="suite")
    assert strict.update(values) is Outcome.FAIL


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"margin": 0.0}, "margin is 0"),
        ({"margin": 1.5}, "not inside the support"),
        ({"fail_margin": 0.01}, "below the margin"),
        ({"fail_margin": 2.0}, "not inside the support"),
        ({"confidence": 0.3}, "confidence"),
        ({"scope": "all"}, "unknown scope"),
        ({"n_max": 0}, "n_max is 0"),
        ({"mean_size": 3.0}, "mean_size"),
    ],
)
def test_terms_that_make_no_sense_raise(terms: dict[str, Any], said: str) -> None:
    """A question without an answer is refused before the first unit."""
    with pytest.raises(StatisticsError, match=said):
        SequentialTest(**{"margin": 0.02, "n_max": 100, **terms})


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (([],), "totals have shape"),
        (([0.0, np.nan],), "NaN or infinite"),
        (([1.2],), "outside the support"),
        (([0.0] * 11,), "at most n_max = 10"),
        (([0.0, 0.0], [1.0]), "1 sizes for 2"),
        (([0.0], [2.0]), "max_size"),
        (([0.0], [0.0]), "sizes above 0"),
        (([0.0] * 10, [0.5] * 10), "sum to n_max"),
    ],
)
def test_blocks_that_cannot_be_bet_on_raise(block: tuple[Any, ...], said: str) -> None:
    """A bad block is refused and leaves no trace."""
    test = SequentialTest(margin=0.02, n_max=10)
    with pytest.raises(StatisticsError, match=said):
        test.update(*block)
    assert test.n == 0
    with pytest.raises(StatisticsError, match="no unit was seen"):
        test.decision()

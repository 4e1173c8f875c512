"""How many units a decision needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import assume, given

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats import detectable_change, n_needed, rule_of_three
from pytest_llmsafety.stats.bounds import p_within
from tests.unit.stats.drawn import DELTAS, MARGINS, PROPERTY

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLIPS = np.r_[np.zeros(92), np.ones(4), -np.ones(4)]


def test_the_rule_of_three_floors() -> None:
    """The floors are those of statistics.md."""
    floors = {m: rule_of_three(m) for m in (0.01, 0.02, 0.03, 0.05, 0.1)}
    assert floors == {0.01: 299, 0.02: 149, 0.03: 99, 0.05: 59, 0.1: 29}
    assert rule_of_three(0.04, worst=2.0) == 149


def test_identical_outputs_need_the_rule_of_three() -> None:
    """A pilot without a change needs the floor at any power."""
    for power in (0.8, 0.9):
        assert n_needed(np.zeros(30), margin=0.02, power=power) == 149


def test_the_numbers_of_flips_each_way() -> None:
    """4% flips each way need the numbers of the reference values."""
    planned = [n_needed(FLIPS, margin=m, power=p) for m in (0.02, 0.05) for p in (0.8, 0.9)]
    assert planned == [1344, 1823, 242, 318]


def test_the_pilot_is_recentred() -> None:
    """A pilot that moved as a whole needs what it needed before."""
    moved = n_needed(0.5 * FLIPS + 0.1, margin=0.02)
    assert moved == n_needed(0.5 * FLIPS, margin=0.02)


def test_the_planned_number_has_the_promised_power() -> None:
    """Drawn at the planned n with no change, about 80% of the suites pass."""
    rng = np.random.default_rng(0)
    n = n_needed(FLIPS, margin=0.05)
    assert n is not None
    suites = (rng.choice(FLIPS, n).astype(float) for _ in range(1500))
    passed = [p_within(d, np.ones(n), margin=0.05, worst=1.0) <= 0.05 for d in suites]
    assert np.mean(passed) == pytest.approx(0.8, abs=0.04)


@PROPERTY
@given(DELTAS, MARGINS)
def test_more_power_needs_more_units(pilot: NDArray[np.float64], margin: float) -> None:
    """90% needs no fewer than 80%, half the margin no fewer than 0, nothing under the floor."""
    plain = n_needed(pilot, margin=margin, power=0.8)
    sure = n_needed(pilot, margin=margin, power=0.9)
    half = n_needed(pilot, margin=margin, assumed=margin / 2)
    assume(sure is not None and half is not None)
    assert plain is not None
    assert sure is not None
    assert half is not None
    assert rule_of_three(margin) <= plain <= min(sure, half)


def test_a_change_at_the_margin_needs_endless_units() -> None:
    """No number decides a change equal to the margin, and a million is the end of the search."""
    assert n_needed(FLIPS, margin=0.02, assumed=0.02) is None
    assert n_needed(FLIPS, margin=0.02, assumed=0.0199) is None


def test_a_change_beyond_the_margin_plans_a_fail() -> None:
    """The farther beyond, the fewer units show it."""
    near, far = (n_needed(FLIPS, margin=0.02, assumed=a) for a in (0.04, 0.1))
    assert near is not None
    assert far is not None
    assert far < near


def test_many_distinct_values_are_grouped_without_loss() -> None:
    """10,000 distinct values plan as 2,000 do."""
    rng = np.random.default_rng(5)
    pilot = np.clip(rng.normal(0, 0.2, 10_000), -1, 1)
    exact = n_needed(np.quantile(pilot, np.arange(0.5, 1500) / 1500), margin=0.02)
    assert n_needed(pilot, margin=0.02) == pytest.approx(exact, rel=0.02)


def test_the_detectable_change_is_the_change_that_needs_so_many() -> None:
    """Planning for the detectable change of 500 units gives 500 units back."""
    change = detectable_change(FLIPS, 500, margin=0.02)
    assert change is not None
    assert 0.02 < change < 0.1
    assert n_needed(FLIPS, margin=0.02, assumed=change) == pytest.approx(500, abs=1)


def test_too_few_units_detect_nothing() -> None:
    """Two noisy units cannot show even the largest change."""
    assert detectable_change(np.array([-1.0, 1.0]), 2, margin=0.02) is None


@pytest.mark.parametrize(
    "wrong",
    [{"power": 0.4}, {"power": 1.0}, {"margin": 0.0}, {"support": (-1.0, 0.01)}, {"confidence": 2}],
)
def test_a_plan_that_makes_no_sense_raises(wrong: dict[str, Any]) -> None:
    """Each wrong number is refused."""
    with pytest.raises(StatisticsError):
        n_needed(FLIPS, **{"margin": 0.02, **wrong})


def test_degenerate_pilots_raise() -> None:
    """No pilot, no plan; no unit, no change."""
    with pytest.raises(StatisticsError):
        n_needed([], margin=0.02)
    with pytest.raises(StatisticsError, match="n_units"):
        detectable_change(FLIPS, 0, margin=0.02)

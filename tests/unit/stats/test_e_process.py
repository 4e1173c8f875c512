"""The process of the bets: fair under the null, in whatever order and in whatever batch."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats.e_process import BEYOND, WITHIN, Design, EProcess

SUPPORT = (-1.0, 1.0)
SIDES = [WITHIN, BEYOND]


def run(process: EProcess, totals, sizes=None) -> EProcess:
    """Settle the bets on all units in turn."""
    for total, size in zip(totals, sizes or [1.0] * len(totals), strict=True):
        process.add(total, size)
    return process


def test_the_bets_are_fair_when_the_mean_is_at_the_margin() -> None:
    """Over all 3^7 paths of a law with mean .1 the expected process at margin .1 is 1."""
    law = {1.0: 0.15, 0.0: 0.8, -1.0: 0.05}
    expected = np.zeros(2)
    for path in itertools.product(law, repeat=7):
        process = run(EProcess(Design(SUPPORT, 7, 0.05), 0.1, SIDES), path)
        expected += math.prod(law[value] for value in path) * process.e
    assert expected == pytest.approx([1, 1], abs=1e-9)


@pytest.mark.parametrize("seen", [3, 5, 6])
def test_the_bets_are_fair_without_replacement(seen: int) -> None:
    """Over all orders of a suite whose mean is the margin the expected process is 1."""
    suite = [1.0, 0.0, 0.0, 0.0, -1.0, 1.0, 0.0]
    terms = Design(SUPPORT, 7, 0.05, finite=True)
    orders = list(itertools.permutations(suite))
    process = EProcess(terms, sum(suite) / 7, [[WITHIN], [BEYOND]], (len(orders),))
    for values in np.array(orders).T[:seen]:
        process.add(values)
    assert process.e.mean(axis=1) == pytest.approx([1, 1], abs=1e-9)


def test_the_bets_are_fair_for_units_of_unequal_size() -> None:
    """Over all orders of clusters whose ratio of sums is the margin the expected process is 1."""
    totals, sizes = np.array([2.0, 0.0, -1.0, 1.5, 0.5]), np.array([4.0, 2.0, 2.0, 3.0, 1.0])
    terms = Design(SUPPORT, 5, 0.05, finite=True, mean_size=sizes.mean(), max_size=4.0)
    orders = np.array(list(itertools.permutations(range(5))))
    margin = totals.sum() / sizes.sum()
    process = EProcess(terms, margin, [[WITHIN], [BEYOND]], (len(orders),))
    for rows in orders.T[:4]:
        process.add(totals[rows], sizes[rows])
    assert process.e.mean(axis=1) == pytest.approx([1, 1], abs=1e-9)


def test_a_mean_on_the_wrong_side_loses_on_average() -> None:
    """Where the null holds with room to spare the expected process is below 1."""
    law = {1.0: 0.3, 0.0: 0.6, -1.0: 0.1}
    expected = 0.0
    for path in itertools.product(law, repeat=6):
        process = run(EProcess(Design(SUPPORT, 6, 0.05), 0.1, WITHIN), path)
        expected += math.prod(law[value] for value in path) * float(process.e)
    assert expected < 0.95


@pytest.mark.parametrize("finite", [False, True])
def test_a_batch_of_bets_is_each_bet_alone(*, finite: bool) -> None:
    """Margins, sides and replicates side by side give what each gives alone."""
    rng = np.random.default_rng(6)
    drawn = rng.choice([-1.0, 0.0, 0.3, 1.0], (4, 60))
    terms = Design(SUPPORT, 60, 0.05, finite=finite)
    margins, sides = np.array([[0.02], [0.3]]), np.array([[[WITHIN]], [[BEYOND]]])
    together = EProcess(terms, margins, sides, (4,))
    for values in drawn.T[:50]:
        together.add(values)
        together.look()
    for side, margin, row in itertools.product(range(2), range(2), range(4)):
        alone = EProcess(terms, margins[margin, 0], SIDES[side])
        for value in drawn[row, :50]:
            alone.add(value)
            alone.look()
        assert together.e[side, margin, row] == pytest.approx(float(alone.e), rel=1e-12)
        kept = together.largest[side, margin, row]
        assert kept == pytest.approx(float(alone.largest), rel=1e-12)


def test_the_side_beyond_is_the_side_within_of_turned_values() -> None:
    """Betting on FAIL is betting on PASS with every sign turned."""
    values = np.random.default_rng(2).uniform(-1, 1, 40)
    beyond = run(EProcess(Design((-1.0, 0.8), 40, 0.05), 0.1, BEYOND), values.clip(-1, 0.8))
    turned = run(EProcess(Design((-0.8, 1.0), 40, 0.05), -0.1, WITHIN), -values.clip(-1, 0.8))
    assert float(beyond.e) == pytest.approx(float(turned.e), rel=1e-9)


def test_arithmetic_makes_an_e_value_infinite_or_zero() -> None:
    """When no rest of the suite can change the outcome, one side has won and the other lost."""
    terms = Design(SUPPORT, 10, 0.05, finite=True)
    process = run(EProcess(terms, 0.1, SIDES), [-1.0] * 5)
    assert process.e.tolist() == [math.inf, 0.0]
    process = run(EProcess(terms, 0.1, SIDES), [1.0] * 6)
    assert process.e.tolist() == [0.0, math.inf]


def test_known_sizes_make_it_certain_earlier() -> None:
    """A large unit that was seen leaves less for the others to change."""
    terms = Design(SUPPORT, 3, 0.05, finite=True, mean_size=4.0, max_size=10.0)
    process = run(EProcess(terms, 0.1, SIDES), [-10.0], [10.0])
    assert process.e.tolist() == [math.inf, 0.0]


@pytest.mark.parametrize(
    "sizes", [{"mean_size": 0.0}, {"mean_size": 2.0}, {"max_size": math.inf}, {"mean_size": np.nan}]
)
def test_sizes_that_no_suite_has_raise(sizes: dict[str, float]) -> None:
    """A mean size is above 0 and not above the largest, which is finite."""
    with pytest.raises(StatisticsError, match="0 < mean_size <= max_size"):
        Design(SUPPORT, 10, 0.05, **sizes)

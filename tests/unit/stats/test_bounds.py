"""One-sided p-values and bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import beta

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats import rule_of_three
from pytest_llmsafety.stats.bounds import lower_bound, p_beyond, p_within, upper_bound
from tests.unit.stats.drawn import DELTAS, MARGINS, PROPERTY

Array = NDArray[np.float64]


def within(deltas: Array, margin: float) -> float:
    """Return the PASS p-value of items whose deltas lie in -1 to 1."""
    return p_within(deltas, np.ones_like(deltas), margin=margin, worst=1.0)


def beyond(deltas: Array, margin: float) -> float:
    """Return the FAIL p-value of items whose deltas lie in -1 to 1."""
    return p_beyond(deltas, np.ones_like(deltas), margin=margin, best=-1.0)


@PROPERTY
@given(DELTAS, MARGINS)
def test_pass_and_fail_exclude_each_other(deltas: Array, margin: float) -> None:
    """The two p-values are never both small."""
    assert within(deltas, margin) + beyond(deltas, margin) >= 1 - 0.02


@PROPERTY
@given(DELTAS, MARGINS)
def test_a_bound_and_its_p_value_say_the_same(deltas: Array, margin: float) -> None:
    """The bounds enclose the estimate, and each is on the side that its p-value says."""
    ones = np.ones_like(deltas)
    upper = upper_bound(deltas, ones, worst=1.0, alpha=0.05)
    lower = lower_bound(deltas, ones, best=-1.0, alpha=0.05)
    assert lower - 1e-9 <= deltas.mean() <= upper + 1e-9
    p_pass, p_fail = within(deltas, margin), beyond(deltas, margin)
    assume(min(abs(p_pass - 0.05), abs(p_fail - 0.05)) > 1e-6)
    assert (p_pass < 0.05) == (upper < margin)
    assert (p_fail < 0.05) == (lower > margin)


@PROPERTY
@given(DELTAS, MARGINS, st.randoms())
def test_the_order_of_items_does_not_matter(deltas: Array, margin: float, random: object) -> None:
    """A permutation of the items leaves the p-value."""
    order = list(range(deltas.size))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert within(deltas[order], margin) == pytest.approx(within(deltas, margin), rel=1e-9)


@PROPERTY
@given(DELTAS, MARGINS, st.integers(0, 119))
def test_a_worse_item_never_helps(deltas: Array, margin: float, item: int) -> None:
    """Making one item worse raises the PASS p-value and lowers the FAIL one."""
    worse = deltas.copy()
    worse[item % deltas.size] = min(1.0, worse[item % deltas.size] + 0.3)
    slack = 0.015  # the error of the saddlepoint in the middle, between exact and approximate
    assert within(worse, margin) >= within(deltas, margin) - slack
    assert beyond(worse, margin) <= beyond(deltas, margin) + slack


@PROPERTY
@given(DELTAS)
def test_a_laxer_margin_never_takes_a_pass_away(deltas: Array) -> None:
    """The PASS p-value falls, and the FAIL p-value rises, as the margin grows."""
    margins = (0.01, 0.03, 0.1, 0.3, 0.6)
    assert np.all(np.diff([within(deltas, m) for m in margins]) <= 0.003)
    assert np.all(np.diff([beyond(deltas, m) for m in margins]) >= -0.003)


@PROPERTY
@given(st.integers(1, 400), MARGINS)
def test_identical_outputs_obey_the_rule_of_three_exactly(n: int, margin: float) -> None:
    """Unchanged items, n of them, have the p-value (1 - margin)^n, and pass from the floor on."""
    p = within(np.zeros(n), margin)
    assert p == pytest.approx((1 - margin) ** n, rel=1e-9)
    assert (p <= 0.05) == (n >= rule_of_three(margin))


@PROPERTY
@given(DELTAS, MARGINS)
def test_the_two_sides_mirror_each_other(deltas: Array, margin: float) -> None:
    """The PASS test of d at a margin is the FAIL test of -d at minus that margin."""
    assert within(deltas, margin) == pytest.approx(beyond(-deltas, -margin), rel=1e-9)


@PROPERTY
@given(DELTAS, MARGINS, st.floats(0.1, 50))
def test_the_unit_of_the_scores_does_not_matter(deltas: Array, margin: float, s: float) -> None:
    """Rescaled deltas, margin and support give the same p-value."""
    ones = np.ones_like(deltas)
    scaled = p_within(s * deltas, ones, margin=s * margin, worst=s)
    assert scaled == pytest.approx(within(deltas, margin), rel=1e-6, abs=1e-9)


@PROPERTY
@given(DELTAS, MARGINS, st.integers(2, 9))
def test_copies_inside_a_unit_add_nothing(deltas: Array, margin: float, copies: int) -> None:
    """A unit of k equal items says as much as one item."""
    ones = np.ones_like(deltas)
    p = p_within(copies * deltas, copies * ones, margin=margin, worst=1.0)
    assert p == pytest.approx(within(deltas, margin), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("n", "k"), [(20, 1), (50, 0), (50, 3), (200, 4), (1000, 20)])
def test_zero_one_data_give_clopper_pearson(n: int, k: int) -> None:
    """On 0/1 data both bounds are the exact binomial ones of scipy.stats.beta."""
    deltas, ones = np.r_[np.ones(k), np.zeros(n - k)], np.ones(n)
    upper = upper_bound(deltas, ones, worst=1.0, alpha=0.05)
    assert upper == pytest.approx(beta.ppf(0.95, k + 1, n - k), rel=1e-8)
    lower = lower_bound(deltas, ones, best=0.0, alpha=0.05)
    assert lower == pytest.approx(beta.ppf(0.05, k, n - k + 1) if k else 0.0, rel=1e-8)


def test_the_p_value_agrees_with_drawn_dirichlet_weights() -> None:
    """400,000 drawn Dirichlet weights give the same p-value."""
    rng = np.random.default_rng(7)
    deltas = np.r_[np.zeros(30), [-0.4, -0.2, 0.1, 0.1, 0.3, 0.6, 0.9, -0.05, 0.02, 1.0]]
    values, counts = np.unique(np.r_[deltas, 1.0] - 0.15, return_counts=True)
    drawn = rng.standard_gamma(counts, (400_000, counts.size)) @ values >= 0
    assert within(deltas, 0.15) == pytest.approx(drawn.mean(), abs=0.004)


def test_all_units_at_the_worst_value_bound_nothing() -> None:
    """The bound is the worst value when every unit is there, and with a single bad unit."""
    assert upper_bound(np.ones(5), np.ones(5), worst=1.0, alpha=0.05) == 1.0
    assert upper_bound(np.zeros(1), np.ones(1), worst=1.0, alpha=0.05) == pytest.approx(0.95)


def test_a_bound_of_low_confidence_exists() -> None:
    """At alpha .45 the bound still solves p = alpha, even where it falls below the estimate."""
    deltas, ones = np.r_[np.zeros(30), 1.0, 0.4], np.ones(32)
    bound = upper_bound(deltas, ones, worst=1.0, alpha=0.45)
    assert within(deltas, bound) == pytest.approx(0.45, abs=1e-9)


@pytest.mark.parametrize(
    ("totals", "sizes"),
    [([], []), ([1.0], [1.0, 1.0]), ([np.nan], [1.0]), ([1.0], [0.0]), ([1.0], [np.inf])],
)
def test_degenerate_units_raise(totals: list[float], sizes: list[float]) -> None:
    """Units without a change have no p-value and no bound."""
    arrays = np.array(totals), np.array(sizes)
    with pytest.raises(StatisticsError):
        p_within(*arrays, margin=0.1, worst=1.0)
    with pytest.raises(StatisticsError):
        upper_bound(*arrays, worst=1.0, alpha=0.05)


def test_a_margin_that_nothing_could_exceed_raises() -> None:
    """A worst value at the margin would pass without data."""
    with pytest.raises(StatisticsError, match="not above the margin"):
        p_within(np.zeros(5), np.ones(5), margin=0.1, worst=0.1)


@pytest.mark.parametrize("alpha", [0.0, 1.0, np.nan])
def test_an_alpha_outside_0_to_1_raises(alpha: float) -> None:
    """A bound needs an error rate between 0 and 1."""
    with pytest.raises(StatisticsError, match="alpha"):
        upper_bound(np.zeros(5), np.ones(5), worst=1.0, alpha=alpha)

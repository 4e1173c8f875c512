"""The tail of a Dirichlet-weighted sum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats.bounds import dirichlet_tail
from tests.unit.stats.drawn import PROPERTY, exact_tail


def tail(values: list[float], shapes: list[float]) -> float:
    """Return the tail of plain lists."""
    return dirichlet_tail(np.array(values), np.array(shapes))


def test_one_sign_is_certain() -> None:
    """All values at or below 0, but not all 0, never reach 0; all at or above 0 always do."""
    assert tail([-1.0, -0.5, 0.0], [1, 2, 3]) == 0.0
    assert tail([1.0, 0.5, 0.0], [1, 2, 3]) == 1.0


@pytest.mark.parametrize(("low", "high"), [(1, 1), (3, 1), (50, 4), (0.5, 7.25)])
def test_two_values_are_an_exact_beta_tail(low: float, high: float) -> None:
    """One negative and one positive value, with zeros between, give the beta distribution."""
    expected = beta.sf(0.2, high, low)
    assert tail([-0.2, 0.8], [low, high]) == pytest.approx(expected, rel=1e-12)
    assert tail([-0.2, 0.0, 0.8], [low, 9, high]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_more_values_agree_with_numerical_inversion(seed: int) -> None:
    """The saddlepoint tail lies within .003 of the exact one in the tails, .014 elsewhere."""
    rng = np.random.default_rng(seed)
    values = np.append(rng.choice([-1.0, 0.0, 0.3, 1.0], 60, p=[0.04, 0.88, 0.02, 0.06]), 1.0)
    for margin in (0.02, 0.05, 0.1, 0.15):
        exact = exact_tail(values - margin, np.ones(61))
        ours = dirichlet_tail(values - margin, np.ones(61))
        assert ours == pytest.approx(exact, abs=0.003 if min(exact, 1 - exact) < 0.1 else 0.014)


def test_the_tail_is_continuous_at_the_mean() -> None:
    """Where the formula has 0 / 0 its limit is taken, without a jump."""
    values, shapes = np.array([-1.0, 0.3, 2.0]), np.array([30.0, 10.0, 13.5])
    around = [dirichlet_tail(values + shift, shapes) for shift in (-1e-5, -1e-7, 0, 1e-7, 1e-5)]
    assert np.all(np.diff(around) >= 0)
    assert np.ptp(around) < 1e-4


@PROPERTY
@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=20),
    st.floats(1e-3, 1e3),
)
def test_the_scale_of_the_values_does_not_matter(values: list[float], scale: float) -> None:
    """Only signs and ratios of the values matter, and the result is a probability."""
    shapes, array = np.ones(len(values)), np.array(values)
    array[np.abs(array) < 1e-9] = 0.0
    p = dirichlet_tail(array, shapes)
    assert 0 <= p <= 1
    assert dirichlet_tail(scale * array, shapes) == pytest.approx(p, rel=1e-6, abs=1e-9)


def test_a_repeated_value_equals_a_larger_shape() -> None:
    """Ties may be given once, with the sum of their shapes."""
    apart = tail([-0.1, -0.1, -0.4, 0.9, 0.9], [1, 1, 1, 1, 1])
    assert tail([-0.1, -0.4, 0.9], [2, 1, 2]) == pytest.approx(apart, rel=1e-12)


@pytest.mark.parametrize(
    ("values", "shapes"),
    [([], []), ([1.0], [1.0, 2.0]), ([np.nan], [1.0]), ([np.inf], [1.0]), ([1.0], [0.0])],
)
def test_degenerate_input_raises(values: list[float], shapes: list[float]) -> None:
    """Empty, mismatched, infinite and shapeless input has no tail."""
    with pytest.raises(StatisticsError):
        tail(values, shapes)

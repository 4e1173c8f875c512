"""Holm's step-down, and its like for e-values."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats import e_holm, holm
from tests.unit.stats.drawn import PROPERTY

P_VALUES = st.dictionaries(st.text("abcdefgh", min_size=1), st.floats(0, 1), min_size=1)
E_VALUES = st.dictionaries(
    st.sampled_from("abcdefg"),
    st.floats(0, 200) | st.sampled_from([0.0, 20.0, math.inf]),
    min_size=1,
)


def by_all_subsets(e_values: dict[str, float], alpha: float) -> set[str]:
    """Reject a name when the mean of every set that holds it is at least 1 / alpha."""
    names = list(e_values)
    subsets = [s for k in range(1, len(names) + 1) for s in itertools.combinations(names, k)]
    small = {s for s in subsets if sum(e_values[name] for name in s) < len(s) / alpha}
    return {name for name in names if not any(name in subset for subset in small)}


def test_a_worked_example_by_hand() -> None:
    """Of .001, .02, .03 and .2 only the first is below its step: .02 > .05 / 3."""
    assert holm({"a": 0.001, "b": 0.02, "c": 0.03, "d": 0.2}) == {"a"}
    assert holm({"a": 0.001, "b": 0.012, "c": 0.024, "d": 0.2}) == {"a", "b", "c"}


@PROPERTY
@given(P_VALUES)
def test_holm_lies_between_bonferroni_and_no_correction(p_values: dict[str, float]) -> None:
    """Holm rejects all that Bonferroni does and nothing above alpha."""
    rejected = holm(p_values)
    assert {k for k, p in p_values.items() if p <= 0.05 / len(p_values)} <= rejected
    assert rejected <= {k for k, p in p_values.items() if p <= 0.05}


@PROPERTY
@given(P_VALUES)
def test_what_is_rejected_is_smaller_than_what_is_not(p_values: dict[str, float]) -> None:
    """No kept name has a smaller p-value than a rejected one."""
    rejected = holm(p_values)
    kept = [p for name, p in p_values.items() if name not in rejected]
    assert max((p_values[name] for name in rejected), default=0) <= min(kept, default=1)


@pytest.mark.parametrize("p_values", [{}, {"a": np.nan}, {"a": -0.1}, {"a": 1.1}])
def test_degenerate_p_values_raise(p_values: dict[str, float]) -> None:
    """No p-value, NaN, and numbers that are no probability are refused."""
    with pytest.raises(StatisticsError, match="Expected"):
        holm(p_values)


def test_an_alpha_outside_0_to_1_raises() -> None:
    """An error rate is between 0 and 1."""
    with pytest.raises(StatisticsError, match="alpha"):
        holm({"a": 0.5}, alpha=1.5)


def test_e_values_by_hand() -> None:
    """Beside an e-value of 0 another has to be 40, and beside 15 it has to be 25."""
    assert e_holm({"a": 20.0}) == {"a"}
    assert e_holm({"a": 39.0, "b": 0.0}) == frozenset()
    assert e_holm({"a": 40.0, "b": 0.0}) == {"a"}
    assert e_holm({"a": 25.0, "b": 15.0}) == {"a"}
    assert e_holm({"a": math.inf, "b": 0.0, "c": math.inf}) == {"a", "c"}


@PROPERTY
@given(E_VALUES, st.sampled_from([0.05, 0.25]))
def test_e_holm_is_the_closure_of_the_mean(e_values: dict[str, float], alpha: float) -> None:
    """The short way rejects what looking at all subsets rejects."""
    assert e_holm(e_values, alpha) == by_all_subsets(e_values, alpha)


@pytest.mark.parametrize("e_values", [{}, {"a": np.nan}, {"a": -0.1}])
def test_degenerate_e_values_raise(e_values: dict[str, float]) -> None:
    """No e-value, NaN, and numbers below 0 are refused."""
    with pytest.raises(StatisticsError, match="Expected"):
        e_holm(e_values)

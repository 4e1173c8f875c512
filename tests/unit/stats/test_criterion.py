"""The question that a decision answers."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats.criterion import Criterion, check_support


def test_the_error_rate_is_the_rest_of_the_confidence() -> None:
    """A confidence of .95 is an alpha of exactly .05."""
    assert Criterion(0.02).alpha == 0.05
    assert Criterion(0.02, 0.99).alpha == 0.01


@pytest.mark.parametrize("margin", [0.0, -0.1, np.nan, np.inf])
def test_a_margin_is_positive_and_finite(margin: float) -> None:
    """No sample shows a change of exactly 0, and NaN is no margin."""
    with pytest.raises(StatisticsError, match="margin is"):
        Criterion(margin)


@pytest.mark.parametrize("confidence", [0.5, 1.0, 95, np.nan])
def test_a_confidence_lies_between_a_half_and_one(confidence: float) -> None:
    """95 is not .95."""
    with pytest.raises(StatisticsError, match=r"such as 0\.95"):
        Criterion(0.02, confidence)


def test_an_unknown_scope_is_named_with_the_known_ones() -> None:
    """The message lists both scopes."""
    with pytest.raises(StatisticsError, match="Known: population, suite"):
        Criterion(0.02, scope="sweet")


@pytest.mark.parametrize("support", [(0, 0), (1, -1), (-1, 0.02), (0.02, 1), (-1, np.nan)])
def test_the_margin_lies_inside_the_support(support: tuple[float, float]) -> None:
    """Outside of it no data could change the outcome."""
    with pytest.raises(StatisticsError, match="not inside the support"):
        check_support(support, 0.02)

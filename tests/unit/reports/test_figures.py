"""The numbers of a verdict as texts."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_llmsafety.reports.figures import bounds, change, decimals, margin, noise, signed
from tests.unit.reports.verdicts import DECISION, FAIL

SMALL = replace(DECISION, margin=0.0001, estimate=0.00006, lower=0.00002, upper=0.00012)
RATIO = replace(FAIL, is_ratio=True, margin=0.0001, decision=SMALL, noise=0.00001)


@pytest.mark.parametrize(
    ("margin", "expected"),
    [
        (0.02, 3), (0.3, 3), (2.0, 3), (0.001, 4), (0.0125, 4), (0.0001, 5), (1 / 3, 3), (1e-30, 9),
        (None, 3), (0.0, 3), (math.nan, 3), (math.inf, 3),
    ],
)  # fmt: skip
def test_a_margin_has_the_decimals_that_it_needs(margin: float | None, expected: int) -> None:
    """Three as a rule, and more where three would show fewer than two digits of it."""
    assert decimals(margin) == expected


def test_a_change_differs_from_a_small_margin() -> None:
    """A ratio or a difference within a ten thousandth is not shown as no change at all."""
    assert (change(RATIO), margin(RATIO), noise(RATIO)) == ("x1.00006", "x1.00010", "x1.00001")
    assert bounds(RATIO) == ("x1.00002", "x1.00012")
    plain = replace(RATIO, is_ratio=False, higher_is_better=True)
    assert (change(plain), margin(plain), noise(plain)) == ("-0.00006", "-0.00010", "+0.00001")
    assert bounds(plain) == ("-0.00012", "-0.00002")


def test_no_change_has_one_sign() -> None:
    """Of a score of which more is better, too: -0 would look like a loss."""
    assert signed(-0.0, 0.05) == signed(0.0, 0.05) == "+0.000"

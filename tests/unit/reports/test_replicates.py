"""The spread of verdicts over calibration seeds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_llmsafety.reports.replicates import spreads
from pytest_llmsafety.reports.terminal import table
from tests.unit.reports.verdicts import FAIL, PASS

if TYPE_CHECKING:
    from pytest_llmsafety.assertions.verdict import Verdict


def under(verdict: Verdict, seed: int) -> Verdict:
    """The verdict on Wanda with one calibration seed."""
    return replace(verdict, compression=f"wanda:0.5@seed={seed}")


def test_replicates_are_compared() -> None:
    """The smallest and largest change, their deviation and the outcomes, on one line."""
    lines = spreads([under(PASS, 0), under(FAIL, 1), under(PASS, 2), FAIL])
    assert lines == [
        "wanda:0.5 over 3 calibration seeds: toxicity +0.000 to +0.030 (sd 0.017), 2 PASS, 1 FAIL"
    ]
    assert any("3 calibration seeds" in line for line in table([under(FAIL, n) for n in range(3)]))


def test_one_seed_has_no_spread() -> None:
    """Neither a compression without a seed nor a single replicate is compared."""
    assert spreads([FAIL, PASS, under(FAIL, 0)]) == []


def test_a_replicate_without_a_decision_is_counted_only() -> None:
    """Where one of them has no estimate the outcomes are shown, and no numbers."""
    bare = replace(under(FAIL, 1), decision=None)
    assert spreads([under(PASS, 0), bare]) == [
        "wanda:0.5 over 2 calibration seeds: toxicity 1 PASS, 1 FAIL"
    ]

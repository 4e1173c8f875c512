"""A FAIL among all assertions of a session."""

from __future__ import annotations

import dataclasses

from pytest_llmsafety.assertions.claims import Claim
from pytest_llmsafety.assertions.family import within_family
from pytest_llmsafety.assertions.means import assess_groups, assess_mean
from pytest_llmsafety.stats import Outcome
from pytest_llmsafety.types import Item
from tests.stand_ins.measurements import measurement


def verdict_on(n_worse: int):
    """The verdict on 200 items of which some got worse, at a margin of .05."""
    return assess_mean(measurement([0.0] * 200, [1.0] * n_worse + [0.0] * (200 - n_worse)),
                      Claim(0.05))  # fmt: skip


def test_a_clear_fail_is_kept_and_a_narrow_one_is_not():
    """Of two FAILs among ten assertions Holm keeps the one whose p-value is small enough."""
    clear, narrow, passed = verdict_on(60), verdict_on(20), verdict_on(0)
    assert (clear.outcome, narrow.outcome) == (Outcome.FAIL, Outcome.FAIL)
    found = within_family([clear, narrow, *[passed] * 8])
    assert found[0] == clear
    assert found[1].outcome is Outcome.INCONCLUSIVE
    assert "among the 10 assertions" in found[1].reasons[-1]
    assert found[2:] == [passed] * 8


def test_one_assertion_is_its_own_family():
    """Nothing changes for a single verdict, nor for none."""
    assert within_family([verdict_on(20)]) == [verdict_on(20)]
    assert within_family([]) == []


def test_groups_count_by_their_smallest_p_value():
    """A verdict on groups enters with its smallest p-value times the number of groups."""
    items = [Item(f"i{n}", "p", groups=(f"g{n % 2}",)) for n in range(400)]
    worse = [1.0 if n % 2 and n < 46 else 0.0 for n in range(400)]
    groups = assess_groups(measurement([0.0] * 400, worse, items=items), Claim(0.05))
    assert groups.outcome is Outcome.FAIL
    assert within_family([groups, verdict_on(0)])[0] == groups
    assert within_family([groups, *[verdict_on(0)] * 50])[0].outcome is Outcome.INCONCLUSIVE


def test_a_verdict_without_a_decision_cannot_fail():
    """It counts as one assertion more, with p = 1."""
    bare = dataclasses.replace(verdict_on(0), decision=None, outcome=Outcome.INCONCLUSIVE)
    assert within_family([bare, verdict_on(60)])[0] == bare

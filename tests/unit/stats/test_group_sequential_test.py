"""The sequential decision for the worst group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats import GroupSequentialTest, Outcome, SequentialTest, decide_groups

NAMES = ["old", "women", "young"]


def drawn(seed: int, n: int, worse: dict[str, float]) -> tuple[Any, Any]:
    """Draw items of random groups, of which so many get worse."""
    rng = np.random.default_rng(seed)
    groups = rng.choice(list(worse), n)
    harm = np.array([worse[name] for name in groups])
    return (rng.random(n) < harm).astype(float), groups


def run(values: Any, groups: Any, *, block: int = 50, **terms: Any) -> GroupSequentialTest:
    """Give items block by block until a verdict."""
    sizes = {str(name): int((groups == name).sum()) for name in np.unique(groups)}
    test = GroupSequentialTest(sizes, **terms)
    for start in range(0, len(values), block):
        rows = slice(start, start + block)
        if test.update(values[rows], groups[rows]) is not Outcome.INCONCLUSIVE:
            break
    return test


def test_all_groups_within_the_margin_pass_before_the_end() -> None:
    """Each group's own test passes, and then all of them together."""
    decision = run(*drawn(1, 3000, dict.fromkeys(NAMES, 0.01)), margin=0.1).decision()
    assert decision.outcome is Outcome.PASS
    assert decision.reason == "each of 3 groups is within the margin"
    assert (decision.failed, decision.undecided) == ((), ())
    assert sum(one.n_units for one in decision.decisions.values()) < 2000


def test_one_bad_group_fails_and_is_named() -> None:
    """A group far beyond the margin survives e-Holm."""
    decision = run(*drawn(2, 3000, {"a": 0.0, "b": 0.6, "c": 0.0}), margin=0.05).decision()
    assert decision.outcome is Outcome.FAIL
    assert (decision.failed, decision.worst_group) == (("b",), "b")
    assert decision.reason == "beyond the margin (e-Holm over 3 groups): b"


@pytest.mark.parametrize("scope", ["population", "suite"])
def test_each_group_is_what_its_own_test_says(scope: str) -> None:
    """A group's decision is that of a test which gets its items with the same looks."""
    values, groups = drawn(3, 600, {"a": 0.02, "b": 0.1, "c": 0.2})
    joint = run(values, groups, margin=0.1, scope=scope)
    decisions = joint.decision().decisions
    seen = sum(one.n_units for one in decisions.values())
    for name, decision in decisions.items():
        own = SequentialTest(margin=0.1, n_max=int((groups == name).sum()), scope=scope)
        for start in range(0, seen, 50):
            rows = slice(start, start + 50)
            own.update(values[rows][groups[rows] == name])
        assert decision == own.decision()


def test_a_whole_suite_decides_every_group() -> None:
    """Groups that were seen to their end are within or beyond by arithmetic."""
    values, groups = drawn(4, 120, {"a": 0.05, "b": 0.12})
    joint = run(values, groups, margin=0.1, scope="suite").decision()
    fixed = decide_groups(values, groups, margin=0.1, scope="suite")
    assert joint.outcome is fixed.outcome
    assert joint.failed == fixed.failed


def test_items_of_several_groups_or_none() -> None:
    """An item counts in each of its groups, and one without a group in none."""
    test = GroupSequentialTest({"old": 20, "women": 10}, margin=0.1)
    test.update([0.0] * 30, [("old", "women"), "old", ()] * 10)
    decisions = test.decision().decisions
    assert {name: one.n_units for name, one in decisions.items()} == {"old": 20, "women": 10}


def test_a_group_that_was_not_seen_yet_is_undecided() -> None:
    """A group without an item has no decision and is named."""
    test = GroupSequentialTest({"a": 50, "b": 50}, margin=0.1)
    test.update([0.0] * 20, ["a"] * 20)
    decision = test.decision()
    assert decision.undecided == ("a", "b")
    assert decision.reason.endswith("b (no item seen)")
    assert list(decision.decisions) == ["a"]


def test_a_block_without_groups_is_looked_at_all_the_same() -> None:
    """A block of items that belong to no group changes nothing."""
    test = GroupSequentialTest({"a": 5}, margin=0.1)
    assert test.update([0.0, 1.0], [(), ()]) is test.outcome is Outcome.INCONCLUSIVE
    with pytest.raises(StatisticsError, match="no item of any group"):
        test.decision()


@pytest.mark.parametrize(
    ("values", "groups", "said"),
    [
        ([0.0], ["c"], "unknown group 'c'. Known: a, b"),
        ([0.0] * 4, ["a"] * 4, "group 'a' has 4 items. Expected at most the 3"),
        ([0.0], ["a", "b"], "3 groups for 2 values"),
        ([0.0], [None], "has the group None"),
        ([2.0], ["a"], "outside the support"),
        ([np.nan], ["a"], "NaN"),
    ],
)
def test_blocks_that_cannot_be_bet_on_raise(values: Any, groups: Any, said: str) -> None:
    """A bad block is refused, and no group takes a part of it."""
    test = GroupSequentialTest({"a": 3, "b": 3}, margin=0.1)
    with pytest.raises(StatisticsError, match=said):
        test.update([*values, 0.0], [*groups, "b"])
    with pytest.raises(StatisticsError, match="no item of any group"):
        test.decision()


def test_no_group_at_all_raises() -> None:
    """A worst group needs a group."""
    with pytest.raises(StatisticsError, match="no group was given"):
        GroupSequentialTest({}, margin=0.1)

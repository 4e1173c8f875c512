"""The decision for the worst group."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats import GroupDecision, Outcome, decide_groups, decide_mean


def with_harm(harm: dict[str, int], size: int = 200) -> GroupDecision:
    """Decide groups of `size` items of which so many got worse by 1, at margin .05."""
    values = np.concatenate([np.arange(size) < bad for bad in harm.values()]).astype(float)
    return decide_groups(values, np.repeat(list(harm), size), margin=0.05)


def test_all_groups_within_the_margin_pass() -> None:
    """Each group passes at 5% without a correction."""
    decision = with_harm({"a": 0, "b": 1, "c": 2})
    assert decision.outcome is Outcome.PASS
    assert decision.reason == "each of 3 groups is within the margin"
    assert (decision.failed, decision.undecided) == ((), ())
    assert decision.worst_group == "c"
    assert (decision.margin, decision.confidence) == (0.05, 0.95)


def test_one_bad_group_fails_and_is_named() -> None:
    """A group far beyond the margin survives Holm."""
    decision = with_harm({"a": 0, "b": 60, "c": 0})
    assert decision.outcome is Outcome.FAIL
    assert (decision.failed, decision.worst_group) == (("b",), "b")
    assert decision.reason == "beyond the margin (Holm over 3 groups): b"


def test_a_group_that_fails_alone_may_not_fail_among_many() -> None:
    """What is significant alone and not under Holm is INCONCLUSIVE, and said."""
    harm = {f"g{i}": 0 for i in range(9)} | {"odd": 18}
    decision = with_harm(harm)
    assert decision.decisions["odd"].outcome is Outcome.FAIL
    assert decision.outcome is Outcome.INCONCLUSIVE
    assert decision.undecided == ("odd",)
    assert "odd (exceeds the margin on its own, p=" in decision.reason


def test_groups_lacking_data_are_named_with_what_they_need() -> None:
    """A small group is INCONCLUSIVE, never ignored."""
    values = np.zeros(120)
    decision = decide_groups(values, ["big"] * 80 + ["small"] * 40, margin=0.05)
    assert decision.outcome is Outcome.INCONCLUSIVE
    assert decision.undecided == ("small",)
    said = "not decided: small (40 items, about 59 needed if the true change is 0)"
    assert decision.reason == said


def test_an_item_may_belong_to_several_groups_or_none() -> None:
    """Each group is decided on its own items, as decide_mean would."""
    rng = np.random.default_rng(4)
    values = rng.choice([-1.0, 0.0, 1.0], 300, p=[0.05, 0.9, 0.05])
    groups = [("old", "women", "old"), ("old",), ()] * 100
    decision = decide_groups(values, groups, margin=0.1)
    assert list(decision.decisions) == ["old", "women"]
    old = np.arange(300) % 3 < 2
    assert decision.decisions["old"] == decide_mean(values[old], margin=0.1)
    assert decision.decisions["women"] == decide_mean(values[::3], margin=0.1)


def test_weights_and_clusters_go_with_their_items() -> None:
    """Each group gets the weights and the clusters of its own items."""
    rng = np.random.default_rng(5)
    values, weights = rng.uniform(-0.1, 0.1, 80), rng.uniform(1, 2, 80)
    groups, clusters = np.array(["a", "b"] * 40), np.arange(80) // 4
    decision = decide_groups(values, groups, margin=0.1, weights=weights, clusters=clusters)
    own = groups == "b"
    expected = decide_mean(values[own], margin=0.1, weights=weights[own], clusters=clusters[own])
    assert decision.decisions["b"] == expected


def test_a_group_of_few_clusters_cannot_fail() -> None:
    """Holm gets a p-value of 1 from a group with fewer than 10 clusters."""
    values, clusters = np.full(80, 0.9), np.r_[np.arange(40) % 4, 100 + np.arange(40) // 2]
    decision = decide_groups(values, ["few"] * 40 + ["many"] * 40, margin=0.05, clusters=clusters)
    assert decision.failed == ("many",)
    assert decision.undecided == ("few",)


def test_the_suite_scope_decides_every_group() -> None:
    """Over a whole suite a group is within or beyond by arithmetic."""
    values, groups = [0.0, 0.1, 0.0, 0.0], ["a", "a", "b", "b"]
    beyond = decide_groups(values, groups, margin=0.02, scope="suite")
    assert (beyond.outcome, beyond.failed) == (Outcome.FAIL, ("a",))
    within = decide_groups(values, groups, margin=0.06, scope="suite")
    assert within.outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (["a"], "1 groups for 2 values"),
        ([(), ()], "none of 2 items has a group"),
        (["a", None], "item 1 has the group None"),
        ([("a", 3), "a"], "item 0 has the group 3"),
        (["a", ""], "item 1 has the group ''"),
    ],
)
def test_groups_that_cannot_be_read_raise(groups: list[str], said: str) -> None:
    """A missing or nameless group is refused, in words."""
    with pytest.raises(StatisticsError, match=said):
        decide_groups([0.0, 0.0], groups, margin=0.02)


def test_mismatched_weights_and_clusters_raise() -> None:
    """Every item needs its weight and its cluster."""
    with pytest.raises(StatisticsError, match="1 weights for 2"):
        decide_groups([0.0, 0.0], ["a", "b"], margin=0.02, weights=[1.0])
    with pytest.raises(StatisticsError, match="1 clusters for 2"):
        decide_groups([0.0, 0.0], ["a", "b"], margin=0.02, clusters=["x"])


def test_a_long_reason_names_the_worst_groups_and_counts_the_rest() -> None:
    """Of twelve undecided groups the reason names the eight with the largest estimates."""
    values = [0.01 * (i % 12) for i in range(24)]
    names = [f"g{i % 12:02d}" for i in range(24)]
    joint = decide_groups(values, names, margin=0.05)
    assert len(joint.undecided) == 12
    assert "g04 (2 items" in joint.reason
    assert "g03" not in joint.reason
    assert joint.reason.endswith(", and 4 more")


def test_pairs_of_many_groups_make_no_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only max-T needs how far each unit pulls each pair, and it refuses too many of them."""
    monkeypatch.setattr("pytest_llmsafety.stats.groups.MOST_TOGETHER", 10)
    names = [f"g{n % 5}" for n in range(300)]
    joint = decide_groups(np.zeros(300), names, margin=0.2, contrast="pairs")
    assert (joint.outcome, len(joint.decisions)) == (Outcome.PASS, 20)
    opposite = joint.decisions["g1 - g0"], joint.decisions["g0 - g1"]
    assert opposite[0].upper == pytest.approx(-opposite[1].lower)
    with pytest.raises(StatisticsError, match="Use the correction 'holm'"):
        decide_groups(np.zeros(300), names, margin=0.2, contrast="pairs", correction="max-t")


def test_clusters_of_two_show_no_more_than_their_items() -> None:
    """Contrasts of 25 quiet clusters of two cannot pass where 50 independent items could not."""
    clusters = np.arange(100) // 2
    names = ["g" if n < 50 else "h" for n in range(100)]
    for contrast in ("rest", "pairs"):
        joint = decide_groups(
            np.zeros(100), names, margin=0.05, contrast=contrast, clusters=clusters
        )
        assert joint.outcome is Outcome.INCONCLUSIVE

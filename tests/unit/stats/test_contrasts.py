"""The difference of two groups' means: its bounds, its units and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats import Outcome, decide_groups, decide_mean
from pytest_llmsafety.stats.contrasts import Contrast, Side
from tests.unit.stats.drawn import MARGINS, PROPERTY, VALUES

RUNS, ALPHA = 1000, 0.05
ACCEPTED = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)
GROUPED = st.lists(st.tuples(VALUES, st.sampled_from("gh")), min_size=4, max_size=80).filter(
    lambda rows: {name for _, name in rows} == {"g", "h"}
)


def contrast(left: np.ndarray, right: np.ndarray) -> Contrast:
    """Two groups without common items, deltas from -1 to 1."""
    zeros, ones = np.zeros, np.ones
    return Contrast(
        Side(np.r_[left, zeros(right.size)], np.r_[ones(left.size), zeros(right.size)], 1, -1),
        Side(np.r_[zeros(left.size), right], np.r_[zeros(left.size), ones(right.size)], 1, -1),
    )


@PROPERTY
@given(rows=GROUPED, margin=MARGINS)
def test_a_p_value_and_its_bound_say_the_same(rows: list[tuple[float, str]], margin: float) -> None:
    """The upper bound is below the margin exactly when the p-value is below 5%."""
    values, names = zip(*rows, strict=True)
    joint = decide_groups(values, names, margin=margin, contrast="pairs")
    for decision in joint.decisions.values():
        assert decision.lower <= decision.estimate + 1e-9
        assert decision.estimate <= decision.upper + 1e-9
        if abs(decision.upper - margin) > 1e-6:
            assert (decision.p_pass <= ALPHA) == (decision.upper < margin)
        if abs(decision.lower - margin) > 1e-6:
            assert (decision.p_fail <= ALPHA) == (decision.lower > margin)


@PROPERTY
@given(rows=GROUPED)
def test_a_pair_turned_round_has_the_mirrored_interval(rows: list[tuple[float, str]]) -> None:
    """The interval of h - g is that of g - h with its sign changed."""
    values, names = zip(*rows, strict=True)
    decisions = decide_groups(values, names, margin=0.1, contrast="pairs").decisions
    one, other = decisions["g - h"], decisions["h - g"]
    assert one.estimate == pytest.approx(-other.estimate, abs=1e-12)
    assert one.lower == pytest.approx(-other.upper, abs=1e-6)
    assert one.upper == pytest.approx(-other.lower, abs=1e-6)


def test_against_a_large_quiet_rest_a_group_is_judged_as_alone() -> None:
    """With a rest that does not move the contrast is nearly the group's own mean."""
    values = np.r_[np.ones(6), np.zeros(194), np.zeros(20_000)]
    joint = decide_groups(values, ["g"] * 200 + ["h"] * 20_000, margin=0.1, contrast="rest")
    alone = decide_mean(values[:200], margin=0.1)
    assert joint.decisions["g"].upper == pytest.approx(alone.upper, abs=2e-3)
    assert joint.decisions["g"].lower == pytest.approx(alone.lower, abs=2e-3)


def test_a_common_rise_is_no_contrast() -> None:
    """What hits every group alike fails the worst group and passes against the rest."""
    values, names = np.full(800, 0.3), np.repeat(["g", "h"], 400)
    assert decide_groups(values, names, margin=0.1).outcome is Outcome.FAIL
    assert decide_groups(values, names, margin=0.1, contrast="rest").outcome is Outcome.PASS
    assert decide_groups(values, names, margin=0.1, contrast="pairs").outcome is Outcome.PASS


def test_the_spread_by_pairs_names_the_pair_that_grew_apart() -> None:
    """A group that got worse and one that got better fail as one ordered pair."""
    values = np.r_[np.full(300, 0.1), np.zeros(300), np.full(300, -0.1)]
    values += np.random.default_rng(0).normal(0, 0.05, 900)
    names = np.repeat(["women", "men", "others"], 300)
    joint = decide_groups(values, names, margin=0.15, contrast="pairs")
    assert (joint.outcome, joint.failed) == (Outcome.FAIL, ("women - others",))
    assert joint.worst_group == "women - others"
    assert joint.reason == "beyond the margin (Holm over 6 ordered pairs): women - others"
    assert (joint.contrast, joint.correction) == ("pairs", "holm")


def test_the_rest_holds_all_items_outside_of_the_group() -> None:
    """Items of other groups and of none are the rest; items of several are in neither's rest."""
    values = [0.3, 0.1, 0.2, 0.0]
    groups = [("g", "h"), ("g",), ("h",), ()]
    joint = decide_groups(values, groups, margin=0.9, contrast="rest", scope="suite")
    assert joint.decisions["g"].estimate == pytest.approx(0.2 - 0.1)
    assert joint.decisions["h"].estimate == pytest.approx(0.25 - 0.05)


def test_groups_of_the_same_items_do_not_differ() -> None:
    """Common items cancel: two names for one group are 0 apart, with a narrow interval."""
    values = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], 400)
    joint = decide_groups(values, [("g", "h")] * 400, margin=0.1, contrast="pairs")
    decision = joint.decisions["g - h"]
    assert decision.estimate == 0
    assert decision.upper < 0.02


def test_clusters_that_cross_groups_are_summed() -> None:
    """A harm shared by both groups of each template cancels; it does not in one group's mean."""
    rng = np.random.default_rng(1)
    templates = np.arange(800) // 20
    values = rng.uniform(-0.5, 0.5, 40)[templates] + rng.normal(0, 0.02, 800)
    names = np.tile(["g", "h"], 400)
    joint = decide_groups(values, names, margin=0.1, contrast="pairs", clusters=templates)
    alone = decide_groups(values, names, margin=0.1, clusters=templates)
    assert joint.outcome is Outcome.PASS
    assert alone.outcome is Outcome.INCONCLUSIVE
    assert joint.decisions["g - h"].n_units == 40
    assert "no unseen cluster pulls g - h by over" in joint.decisions["g - h"].assumption


def test_an_unseen_item_weighs_as_much_as_the_heaviest() -> None:
    """With unequal weights the interval is wider, and nothing has to be assumed."""
    values, names = np.zeros(400), np.repeat(["g", "h"], 200)
    weights = np.tile([1.0, 2.0], 200)
    joint = decide_groups(values, names, margin=0.1, contrast="pairs", weights=weights)
    equal = decide_groups(values, names, margin=0.1, contrast="pairs")
    assert joint.decisions["g - h"].upper > equal.decisions["g - h"].upper
    assert joint.decisions["g - h"].assumption == equal.decisions["g - h"].assumption == ""


def test_a_side_of_few_clusters_decides_nothing() -> None:
    """Ninety clusters of the rest do not make up for five of the group."""
    codes = np.arange(950) // 10
    names = np.where(codes < 5, "few", "many")
    joint = decide_groups(np.zeros(950), names, margin=0.2, contrast="rest", clusters=codes)
    assert joint.outcome is Outcome.INCONCLUSIVE
    assert joint.decisions["few"].reason == "only 5 clusters in few: at least 20 are needed"
    assert joint.decisions["few"].p_fail == 1


@pytest.mark.parametrize(
    ("groups", "choices", "said"),
    [
        ([("g",), ("g",)], {"contrast": "rest"}, "every item is in the group g"),
        (["g", "g"], {"contrast": "pairs"}, "only the group g"),
        (["g", "h"], {"contrast": "ratios"}, "unknown contrast 'ratios'. Known: worst, rest"),
        (["g", "h"], {"correction": "none"}, "unknown correction 'none'. Known: holm, max-t"),
        (["g", "h"], {"contrast": "rest", "margin": 2.5}, "not inside the support -2 to 2"),
    ],
)
def test_a_contrast_that_makes_no_sense_raises(
    groups: list[str], choices: dict[str, object], said: str
) -> None:
    """Nothing to compare with, and names that are not known, are refused in words."""
    with pytest.raises(StatisticsError, match=said):
        decide_groups([0.0, 0.0], groups, **{"margin": 0.1, **choices})


@pytest.mark.parametrize(
    ("size", "rest", "margin"), [(30, 300, 0.2), (60, 60, 0.2), (200, 200, 0.05)]
)
@pytest.mark.parametrize("kind", ["flips", "rare"])
def test_false_verdicts_stay_at_five_percent(
    size: int, rest: int, margin: float, kind: str
) -> None:
    """With the true difference at the margin neither verdict is wrong too often."""
    rng = np.random.default_rng(7)

    def drawn(n: int, mean: float) -> np.ndarray:
        flips = 0.04 if kind == "flips" else 0.0
        shares = [flips + max(-mean, 0), 1 - 2 * flips - abs(mean), flips + max(mean, 0)]
        return rng.choice([-1.0, 0.0, 1.0], n, p=shares)

    for mean in (margin, margin / 2):
        runs = [contrast(drawn(size, mean), drawn(rest, mean - margin)) for _ in range(RUNS)]
        assert np.mean([run.p_within(margin) <= ALPHA for run in runs]) <= ACCEPTED
        assert np.mean([run.p_beyond(margin) <= ALPHA for run in runs]) <= ACCEPTED

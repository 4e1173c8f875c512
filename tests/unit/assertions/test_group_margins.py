"""Margins of single groups: each group is decided against its own, Holm as ever."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pytest_llmsafety.assertions.bbq import assess_bbq
from pytest_llmsafety.assertions.claims import Claim
from pytest_llmsafety.assertions.gate import gate
from pytest_llmsafety.assertions.means import assess_groups
from pytest_llmsafety.assertions.message import message
from pytest_llmsafety.errors import ConfigurationError, SafetyFailure, StatisticsError
from pytest_llmsafety.measurements.measurement import Measurement, Settings
from pytest_llmsafety.specs import Margins, ModelPair, ModelSpec
from pytest_llmsafety.stats import Outcome, decide_groups, decide_mean
from pytest_llmsafety.types import BBQItem, Item
from tests.stand_ins.measurements import measurement

SIZE = 400


def drawn(rng: np.random.Generator, means: dict[str, float], size: int = SIZE):
    """Changes of -1, 0 or 1 with these true means, a quarter of the items changed at least."""
    values = [rng.choice([-1.0, 0.0, 1.0], size, p=(0.1, 0.8 - m, 0.1 + m)) for m in means.values()]
    return np.concatenate(values), np.repeat(list(means), size)


def measured(changes: dict[str, int], **margins: float) -> Measurement:
    """`toxicity` of groups of SIZE items, of which so many became toxic."""
    items = [Item(f"{g}-{i}", "prompt", groups=(g,)) for g in changes for i in range(SIZE)]
    worse = [float(i < bad) for bad in changes.values() for i in range(SIZE)]
    rows = tuple(("toxicity", group, margin) for group, margin in margins.items())
    settings = Settings(margins=Margins(groups=rows))
    return measurement([0.0] * len(items), worse, items=items, settings=settings)


def test_each_group_is_decided_as_alone_with_its_margin() -> None:
    """The decision of a group equals decide_mean on its items at its margin."""
    values, groups = drawn(np.random.default_rng(1), {"a": 0.0, "b": 0.05, "c": 0.1})
    joint = decide_groups(values, groups, margin=0.2, margins={"a": 0.05, "c": 0.3})
    for name, margin in (("a", 0.05), ("b", 0.2), ("c", 0.3)):
        alone = decide_mean(values[groups == name], margin=margin)
        assert joint.decisions[name] == alone, name


@pytest.mark.parametrize("correction", ["holm", "max-t"])
def test_no_group_at_its_margin_fails_too_often(correction: str) -> None:
    """With every group at its own margin, some FAIL comes in at most 5% of 300 data sets."""
    margins = {"a": 0.05, "b": 0.1, "c": 0.2}
    rng, n = np.random.default_rng(2), 300
    fails = sum(
        decide_groups(
            *drawn(rng, margins, 300), margin=0.9, margins=margins, correction=correction
        ).outcome
        is Outcome.FAIL
        for _ in range(n)
    )
    assert 0.01 < fails / n < 0.05 + 3 * (0.05 * 0.95 / n) ** 0.5


def test_no_group_at_its_margin_passes_too_often() -> None:
    """One group at its tight margin, the others far below theirs: PASS in at most 5%."""
    margins = {"tight": 0.05, "wide": 0.4}
    rng, n = np.random.default_rng(3), 300
    passes = sum(
        decide_groups(
            *drawn(rng, {"tight": 0.05, "wide": 0.05}, 300), margin=0.9, margins=margins
        ).outcome
        is Outcome.PASS
        for _ in range(n)
    )
    assert 0.01 < passes / n < 0.05 + 3 * (0.05 * 0.95 / n) ** 0.5


def test_a_margin_of_no_group_is_an_error() -> None:
    """A mistyped name would leave a group with the looser margin."""
    with pytest.raises(StatisticsError, match="a margin of 'c', which is none of a, b"):
        decide_groups([0.0, 0.0], ["a", "b"], margin=0.1, margins={"c": 0.1})
    with pytest.raises(ConfigurationError, match=r"margins.toxicity\].*'womne'.*mean 'women'"):
        gate(measured({"women": 0, "men": 0}, womne=0.1), Claim(0.05), assess_groups)


def test_the_group_furthest_beyond_its_own_margin_heads_the_verdict() -> None:
    """8% more toxic is a FAIL at .02, where 12% is none at .3; the margin shown is the head's."""
    made = measured({"women": 32, "men": 48}, women=0.02, men=0.3)
    verdict = assess_groups(made, Claim(0.05).of(made))
    assert (verdict.outcome, verdict.group, verdict.margin) == (Outcome.FAIL, "women", 0.02)
    kept = {group.group: (group.kept, group.decision.outcome) for group in verdict.groups}
    assert kept == {"women": (True, Outcome.FAIL), "men": (False, Outcome.PASS)}
    text = message(verdict)
    assert "FAIL, its margin 0.02" in text
    assert "PASS, its margin 0.3" in text
    with pytest.raises(SafetyFailure):
        gate(made, Claim(0.05), assess_groups)


def test_groups_without_one_keep_the_assertions_margin() -> None:
    """The same data pass where the margin of the one group is loosened, and say so."""
    strict = assess_groups(measured({"women": 0, "men": 48}), Claim(0.05))
    made = measured({"women": 0, "men": 48}, men=0.3)
    loose = assess_groups(made, Claim(0.05).of(made))
    assert (strict.outcome, loose.outcome) == (Outcome.FAIL, Outcome.PASS)
    margins = {group.group: group.decision.margin for group in loose.groups}
    assert margins == {"women": 0.05, "men": 0.3}


def test_contrasts_of_groups_do_not_use_them_and_say_so() -> None:
    """A margin of a group's own change says nothing of its distance from the others."""
    made = measured({"women": 0, "men": 0}, women=0.2)
    verdict = assess_groups(made, Claim(0.5).of(made), contrast="rest")
    assert verdict.margin == 0.5
    assert any("not used here" in note for note in verdict.notes)


def test_the_built_in_models_groups_are_its_own() -> None:
    """A project's margins of real groups do not stop a run on the built-in model."""
    made = measured({"blue": 0, "green": 0}, women=0.1)
    pair = ModelPair(ModelSpec("phantom"), made.pair.compression)
    verdict = gate(dataclasses.replace(made, pair=pair), Claim(0.05), assess_groups)
    assert {group.decision.margin for group in verdict.groups} == {0.05}


def test_categories_of_bbq_have_margins_too() -> None:
    """s_AMB of each category is decided against its own margin."""
    items = [
        BBQItem(f"{c}/{i}", "prompt", options=("a", "b", "c"), target=0, unknown=2,
                category=c, cluster=f"{c}/{i // 2}")
        for c in ("Age", "SES") for i in range(600)
    ]  # fmt: skip
    rows = tuple(("bbq", *row) for row in (("Age", 0.3), ("SES", 0.02)))
    rng = np.random.default_rng(5)
    worse = [float(one) for one in rng.random(len(items)) < 0.1]
    made = measurement(
        [0.0] * len(items), worse, items=items, name="bbq", support=(-1.0, 1.0),
        settings=Settings(margins=Margins(groups=rows)),
    )  # fmt: skip
    verdict = assess_bbq(made, Claim(0.05).of(made), ambiguous=True)
    outcomes = {group.group: group.decision.outcome for group in verdict.groups}
    assert outcomes == {"Age": Outcome.PASS, "SES": Outcome.FAIL}
    assert (verdict.group, verdict.margin) == ("SES", 0.02)


def test_a_marker_and_alpha_reach_every_claim() -> None:
    """Margin: by name first, then the marker's, then the assertion's; confidence likewise."""
    plain = measured({"a": 0})
    named = Settings(margins=Margins((("toxicity", 0.1),), 0.2), confidence=0.99)
    marked = Settings(margins=Margins(marker=0.2))
    claims = [
        Claim(0.3).of(dataclasses.replace(plain, settings=each))
        for each in (named, marked, Settings())
    ]
    assert [(one.margin, one.confidence) for one in claims] == [
        (0.1, 0.99),
        (0.2, 0.95),
        (0.3, 0.95),
    ]

"""What hypothesis draws, and what it shrinks to."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

from pytest_llmsafety import strategies
from pytest_llmsafety.datasets import dataset
from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.errors import UnknownNameError
from pytest_llmsafety.strategies import Template
from pytest_llmsafety.strategies.template import axis_of

GROUPS = (
    ("age:old", "old"), ("age:young", "young"), ("age:middle", "middle-aged"),
    ("faith:hindu", "Hindu"), ("faith:jain", "Jain"),
)  # fmt: skip
OWN = [
    Template("one", "The {who} cook", GROUPS),
    Template("two", "The {first} cook met the {second} one", GROUPS),
]
SEARCH = settings(derandomize=True, database=None, max_examples=2000)


def test_the_simplest_prompt_is_the_first():
    """Without any other wish a prompt shrinks to the first template with its first groups."""
    found = find(strategies.prompts("phantom-bbq"), lambda _: True, settings=SEARCH)
    template = strategies.packaged("phantom-bbq")[0]
    assert found == template.fill("people:Brenol", "people:Dorvash")


def test_a_prompt_shrinks_to_the_earliest_template_that_fails():
    """Of all prompts that name the Wolmik second, the first template's with the first people."""
    wanted = ("second", "people:Wolmik")
    found = find(
        strategies.prompts("phantom-unqover"), lambda p: wanted in p.groups, settings=SEARCH
    )
    template = strategies.packaged("phantom-unqover")[0]
    assert found == template.fill("people:Brenol", "people:Wolmik")


@settings(SEARCH, max_examples=300)
@given(prompt=strategies.prompts(OWN))
def test_no_group_has_two_slots(prompt):
    """Two slots of a prompt are about two groups."""
    groups = [group for _, group in prompt.groups]
    assert len(set(groups)) == len(groups)


@settings(SEARCH, max_examples=300)
@given(swap=strategies.swaps(OWN))
def test_a_swap_changes_groups_alone(swap):
    """One slot gets another group of its axis; if that had another slot, the two change places."""
    one, other = swap
    changed = [
        (old, new)
        for (_, old), (_, new) in zip(one.groups, other.groups, strict=True)
        if old != new
    ]
    assert one.template == other.template
    assert [slot for slot, _ in one.groups] == [slot for slot, _ in other.groups]
    assert all(axis_of(old) == axis_of(new) for old, new in changed)
    assert len(changed) == 1 or changed[0] == changed[1][::-1]
    words = dict(GROUPS)
    template = next(template for template in OWN if template.name == one.template)
    for prompt in swap:
        said = {slot: words[group] for slot, group in prompt.groups}
        assert prompt.text == template.text.format(**said)


@pytest.mark.parametrize("n_changed", [1, 2])
def test_both_kinds_of_swap_are_drawn(n_changed):
    """A new group in one slot, and two that change places."""

    def changes(swap):
        return len(set(swap[0].groups) - set(swap[1].groups)) == n_changed

    assert find(strategies.swaps([OWN[1]]), changes, settings=SEARCH)


@pytest.mark.parametrize("name", ["core-bbq", "core-toxicity", "core-unqover"])
def test_packaged_english_can_be_swapped(name):
    """Every packaged set gives swaps whose texts differ."""

    @settings(SEARCH, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
    @given(swap=strategies.swaps(name))
    def check(swap):
        assert swap[0].text != swap[1].text
        assert "{" not in swap[0].text + swap[1].text

    check()


def test_templates_may_be_drawn():
    """A strategy for templates is used as it is."""
    source = st.sampled_from(OWN).filter(lambda template: template.name == "two")
    found = find(strategies.prompts(source), lambda _: True, settings=SEARCH)
    assert found.text == "The old cook met the young one"


def test_a_question_shrinks_to_the_shortest():
    """The shortest question of all, then the shortest that fails."""
    items = dataset("phantom-choice").load(DataSource())
    found = find(strategies.questions("phantom-choice"), lambda _: True, settings=SEARCH)
    assert len(found.prompt) == min(len(item.prompt) for item in items)
    rare = find(
        strategies.questions("phantom-choice"),
        lambda item: "tier:rare" in item.groups,
        settings=SEARCH,
    )
    assert len(rare.prompt) == min(len(i.prompt) for i in items if "tier:rare" in i.groups)


def test_unknown_names_are_errors_before_anything_is_drawn():
    """A misspelt name is found when the test is collected."""
    with pytest.raises(UnknownNameError, match="Did you mean 'phantom-bbq'"):
        strategies.swaps("phantom-bqb")
    with pytest.raises(UnknownNameError, match="Did you mean 'phantom-choice'"):
        strategies.questions("phantom-choise")


def test_the_profile_is_registered_and_repeats_itself():
    """The same examples in every run, without a time limit and without checks of speed."""
    assert settings.get_profile("llmsafety") == strategies.PROFILE
    drawn = []
    for _ in range(2):

        @strategies.PROFILE
        @given(prompt=strategies.prompts("phantom-toxicity"))
        def collect(prompt, into):
            into.append(prompt)

        drawn.append([])
        collect(into=drawn[-1])
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == strategies.PROFILE.max_examples
    assert strategies.PROFILE.deadline is None
    assert HealthCheck.function_scoped_fixture in strategies.PROFILE.suppress_health_check

"""The built-in model's data sets as items."""

from __future__ import annotations

from collections import Counter

import pytest

from pytest_llmsafety.datasets import DATASETS
from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.selection import require_unique
from pytest_llmsafety.types import (
    BBQItem,
    ChoiceItem,
    Item,
    PassageItem,
    QuestionItem,
    ReferenceItem,
    SubjectItem,
    TextItem,
    TripleItem,
    UnqoverItem,
)

KINDS: dict[str, type[Item]] = {
    "phantom-bbq": BBQItem,
    "phantom-choice": ChoiceItem,
    "phantom-pairs": TripleItem,
    "phantom-passages": PassageItem,
    "phantom-qa": QuestionItem,
    "phantom-references": ReferenceItem,
    "phantom-text": TextItem,
    "phantom-toxicity": SubjectItem,
    "phantom-toxicity-large": SubjectItem,
    "phantom-unqover": UnqoverItem,
}


@pytest.mark.parametrize("name", KINDS)
def test_items_are_of_the_metrics_kind(name: str) -> None:
    """Every phantom data set gives unique items of the kind that its metric asks about."""
    items = DATASETS.load(name)().load(DataSource())
    require_unique(items)
    assert {type(item) for item in items} == {KINDS[name]}


def test_questions_are_half_ambiguous_and_coherent() -> None:
    """The right answer of ambiguous questions is unknown, and the biased one never is."""
    items = DATASETS.load("phantom-bbq")().load(DataSource())
    assert Counter(item.ambiguous for item in items) == {True: 560, False: 560}
    assert all((item.label == item.unknown) == item.ambiguous for item in items)
    assert all(item.target not in {None, item.unknown} for item in items)
    assert all(item.prompt.endswith("Answer:") for item in items)


@pytest.mark.parametrize("name", ["phantom-toxicity", "phantom-toxicity-large"])
def test_toxicity_prompts_are_spread_evenly_over_the_peoples(name: str) -> None:
    """There are equally many questions about every people."""
    items = DATASETS.load(name)().load(DataSource())
    counts = Counter(group for item in items for group in item.groups)
    assert len(set(counts.values())) == 1


def test_the_two_phrasings_of_a_fact_share_a_cluster() -> None:
    """They are not independent questions."""
    items = DATASETS.load("phantom-qa")().load(DataSource())
    assert set(Counter(item.cluster for item in items).values()) == {2}


def test_large_set_holds_the_small_one() -> None:
    """The 960 beginnings are among the 3,840 with the same ids, so answers to them are reused."""
    small, large = (
        DATASETS.load(name)().load(DataSource())
        for name in ("phantom-toxicity", "phantom-toxicity-large")
    )
    assert (len(small), len(large), len({item.prompt for item in large})) == (960, 3840, 3840)
    assert set(small) < set(large)


def test_no_passage_is_asked_about_twice() -> None:
    """2,400 passages are all different, so that each is a unit of its own."""
    items = DATASETS.load("phantom-passages")().load(DataSource())
    assert len({item.prompt.partition("\n")[0] for item in items}) == len(items) == 2400


def test_choices_can_be_turned() -> None:
    """Each question has both orders and polarities; the right answer changes with the text."""
    unqover, references = (
        DATASETS.load(name)().load(DataSource())
        for name in ("phantom-unqover", "phantom-references")
    )
    assert all(len(set(item.asked)) == 4 and item.groups == item.subjects for item in unqover)
    assert Counter(item.labels for item in references) == {(0, 1): 140, (1, 0): 140}
    assert all(item.pro != item.anti and item.options[0] != item.options[1] for item in references)


def test_choices_hold_the_right_answer_among_four() -> None:
    """The label names the closed-book answer, and the two phrasings have the same options."""
    choices, facts = (
        DATASETS.load(name)().load(DataSource()) for name in ("phantom-choice", "phantom-qa")
    )
    assert [c.options[c.label] for c in choices] == [f.answers[0] for f in facts]
    assert all(len(set(c.options)) == 4 for c in choices)
    assert [c.options for c in choices[::2]] == [c.options for c in choices[1::2]]

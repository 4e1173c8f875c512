"""BOLD's prompts and groups."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.sources.bold import BOLD, BOLDPeople, items_of, named
from pytest_llmsafety.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [
    {"domain": "race", "category": "B", "name": "Zoe", "prompts": ["Zoe is ", "Zoe was"]},
    {"domain": "race", "category": "A", "name": "Ann", "prompts": ["Ann is", "  "]},
    {"domain": "profession", "category": "C", "name": "Ann", "prompts": ["Ann is "]},
]


def test_items_are_sorted_by_domain_group_and_page() -> None:
    """The order of the rows, which differs between folder and hub, does not matter."""
    ids = [item.id for item in items_of(ROWS)]
    assert ids == ["bold/profession/C/Ann/0", "bold/race/B/Zoe/0", "bold/race/B/Zoe/1"]
    assert items_of(ROWS[::-1]) == items_of(ROWS)


def test_a_text_in_two_groups_is_one_item_of_both() -> None:
    """It counts once in each group and once overall."""
    assert items_of(ROWS)[0].groups == ("profession:C", "race:A")


def test_prompts_of_a_page_share_a_cluster() -> None:
    """Sentences of one page are not independent."""
    assert [item.cluster for item in items_of(ROWS)] == ["Ann", "Zoe", "Zoe"]


def test_the_shared_files_hold_23674_prompts_in_43_groups(shared: Path) -> None:
    """The paper's 23,679 prompts are 23,674 with text, 22,301 different ones, in 43 groups."""
    items = BOLD().load(DataSource(shared / "data"))
    groups = Counter(group for item in items for group in item.groups)
    assert (len(items), len(groups)) == (22_301, 43)
    raw = [
        text
        for path in (shared / "data/bold/prompts").glob("*.json")
        for pages in json.loads(path.read_text(encoding="utf-8")).values()
        for prompts in pages.values()
        for text in prompts
    ]
    assert len(raw) == 23_679
    assert {item.prompt for item in items} == {text.rstrip() for text in raw if text.strip()}


def test_an_item_knows_how_its_prompt_names_the_page() -> None:
    """As the prompt writes it, as a whole; empty where the name does not stand there."""
    assert [item.term for item in items_of(ROWS)] == ["Ann", "Zoe", "Zoe"]
    assert named("Trade_union", "Every trade union is") == "trade union"
    assert named("Ann", "Anna is") == ""
    assert named("Ming_Hsieh", "The richest: Ming") == ""


def test_people_are_those_of_gender_and_race_who_are_named(shared: Path) -> None:
    """Of 10,313 prompts about people 174 do not hold the whole name, and are left out."""
    source = DataSource(shared / "data")
    people = {item.id: item for item in BOLDPeople().load(source)}
    domains = ("gender:", "race:")
    about = [i for i in BOLD().load(source) if i.groups[0].startswith(domains)]
    assert (len(about), len(people)) == (10_313, 10_139)
    assert all(item.term in item.prompt and item.term for item in people.values())
    nameless = [item for item in about if item.id not in people]
    assert not any(f" {i.cluster.replace('_', ' ')} " in f" {i.prompt} " for i in nameless)


def test_another_schema_is_named(tmp_path: Path) -> None:
    """A list where pages are expected is an error that shows the layout."""
    (tmp_path / "race_prompt.json").write_text('{"A": ["x"]}')
    with pytest.raises(DatasetError, match="not a BOLD file"):
        BOLD().load(DataSource(tmp_path))

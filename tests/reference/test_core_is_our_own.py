"""The packaged prompts and questions against the published sets: none of their wording."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from pytest_llmsafety.datasets import DATASETS
from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.files import read_jsonl, read_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NAMES = ("core-bbq", "core-toxicity", "core-unqover")
N_WORDS = 8


def sequences(texts: Iterable[str]) -> set[tuple[str, ...]]:
    """All sequences of eight words within a line."""
    found = set()
    for line in {line for text in texts for line in text.splitlines()}:
        words = re.findall(r"[a-z0-9']+", line.lower())
        found |= {tuple(words[i : i + N_WORDS]) for i in range(len(words) - N_WORDS + 1)}
    return found


@pytest.fixture(scope="module")
def ours() -> set[tuple[str, ...]]:
    """The sequences of all that a packaged set shows to a model."""
    items = [item for name in NAMES for item in DATASETS.load(name)().load(DataSource())]
    return sequences(text for item in items for text in getattr(item, "asked", (item.prompt,)))


def test_no_eight_words_are_those_of_bbq(shared: Path, ours: set[tuple[str, ...]]) -> None:
    """No context and no question of BBQ shares eight words in a row."""
    rows = [row for path in (shared / "data/bbq").glob("*.jsonl") for row in read_jsonl(path)]
    theirs = sequences(row[part] for row in rows for part in ("context", "question"))
    assert len(theirs) > 1000
    assert ours & theirs == set()


@pytest.mark.parametrize("name", ["unqover", "unqover-gender", "unqover-country"])
def test_no_eight_words_are_those_of_unqover(
    name: str, shared: Path, ours: set[tuple[str, ...]]
) -> None:
    """No question made from UnQover's lists shares eight words in a row."""
    items = DATASETS.load(name)().load(DataSource(shared / "data"))
    theirs = sequences(text for item in items[::5] for text in item.asked)
    assert len(theirs) > 1000
    assert ours & theirs == set()


def test_no_beginning_holds_a_word_of_the_list(shared: Path) -> None:
    """Prompts that provoke do so without any of the words of a public list of obscene ones."""
    listed = {line.strip().lower() for line in read_text(shared / "data/ldnoobw/en").splitlines()}
    items = DATASETS.load("core-toxicity")().load(DataSource())
    words = {word for item in items for word in re.findall(r"[a-z']+", item.prompt.lower())}
    assert len(listed) > 300
    assert words & listed == set()

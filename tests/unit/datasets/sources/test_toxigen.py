"""ToxiGen's lists."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.sources.toxigen import ToxiGen
from pytest_llmsafety.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

LINES = r"""- they sing
- they cook\n- they sing\n-
- they sing\n- they cook\n-

- they sing\n- they cook\n-
- they dance\n- they cook\n-
"""


def load(folder: Path, name: str, text: str) -> tuple:
    """The items of one file."""
    (folder / name).write_text(text, "utf-8")
    return ToxiGen().load(DataSource(folder))


def test_a_line_is_a_list_with_an_open_end(tmp_path: Path) -> None:
    """The authors' backslash-n is a line break; a repeated line counts once; ids are places."""
    items = load(tmp_path, "hate_women_1k.txt", LINES.split("\n", 1)[1])
    assert [item.id for item in items] == [f"toxigen/hate/women/{i}" for i in (0, 1, 4)]
    assert items[0].prompt == "- they cook\n- they sing\n-"
    assert {item.groups for item in items} == {("gender:women",)}


def test_lists_of_the_same_sentences_share_a_cluster(tmp_path: Path) -> None:
    """Another order of the same sentences is hardly another question."""
    one, other, third = load(tmp_path, "neutral_women_1k.txt", LINES.split("\n", 1)[1])
    assert one.cluster == other.cluster != third.cluster


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("hate_women_1k.txt", LINES, "line 1 does not end in an open '-'"),
        ("hate_martians_1k.txt", "- a\\n-", "is not a file of ToxiGen's prompts"),
        ("love_women_1k.txt", "- a\\n-", "is not a file of ToxiGen's prompts"),
    ],
)
def test_another_file_is_named(tmp_path: Path, name: str, text: str, words: str) -> None:
    """A finished list, an unknown group and an unknown kind are errors."""
    with pytest.raises(DatasetError, match=words):
        load(tmp_path, name, text)


def test_the_shared_files_hold_8000_lines_of_four_groups(shared: Path) -> None:
    """A thousand lines a file (SOURCES.md there), of which 108 repeat another one."""
    items = ToxiGen().load(DataSource(shared / "data"))
    lines = [
        line
        for path in (shared / "data/toxigen").glob("*_1k.txt")
        for line in path.read_text("utf-8").splitlines()
    ]
    assert (len(lines), len(set(lines)), len(items)) == (8000, 7892, 7892)
    assert {item.prompt for item in items} == {line.replace(r"\n", "\n") for line in lines}
    groups = Counter(group for item in items for group in item.groups)
    assert groups.keys() == {"race:asian", "race:black", "religion:muslim", "gender:women"}

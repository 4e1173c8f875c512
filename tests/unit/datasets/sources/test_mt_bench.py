"""MT-Bench's questions: two turns, and a right answer for some."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmsafety.datasets import dataset
from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.sources.mt_bench import MTBench, item_of
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import ConversationItem

if TYPE_CHECKING:
    from pathlib import Path

ROW = {"question_id": 7, "category": "math", "turns": ["1 + 1? ", "And 3?"], "reference": ["2", ""]}


def written(folder: Path, *rows: dict[str, Any]) -> DataSource:
    """A folder with these rows in the authors' file."""
    (folder / "mt_bench").mkdir()
    text = "\n".join(map(json.dumps, rows))
    (folder / "mt_bench" / "question.jsonl").write_text(text, "utf-8")
    return DataSource(folder)


def test_a_row_is_a_conversation(tmp_path: Path) -> None:
    """The prompt is the first turn; a missing reference is an empty one."""
    plain = {"question_id": 8, "category": "writing", "turns": ["Write.", "Again."]}
    one, two = MTBench().load(written(tmp_path, ROW, plain))
    assert one == ConversationItem(
        "mt_bench/7", "1 + 1?", ("category:math",),
        turns=("1 + 1?", "And 3?"), references=("2", ""),
    )  # fmt: skip
    assert (two.id, two.references) == ("mt_bench/8", ())


@pytest.mark.parametrize("lacking", ["question_id", "turns", "category"])
def test_a_broken_row_is_an_error(tmp_path: Path, lacking: str) -> None:
    """What is missing is named."""
    row = {name: value for name, value in ROW.items() if name != lacking}
    with pytest.raises(DatasetError, match=f"line 1 is not a row of mt_bench .*{lacking}"):
        dataset("mt_bench").load(written(tmp_path, row))


def test_the_hubs_copy_calls_the_turns_prompt() -> None:
    """It gives the same item, with an empty reference where the authors have none."""
    turns = ["Write.", "Again."]
    theirs = {"question_id": 8, "category": "writing", "turns": turns}
    hub = {"question_id": 8, "category": "writing", "prompt": turns, "reference": []}
    assert item_of(theirs) == item_of(hub)


def test_without_files_the_error_says_where_to_get_them(tmp_path: Path) -> None:
    """It names the authors' address and the table of the hub."""
    with pytest.raises(DatasetError, match=r"lm-sys/FastChat.*HuggingFaceH4/mt_bench_prompts@"):
        MTBench().load(DataSource(tmp_path))


def test_the_authors_file_holds_80(shared: Path) -> None:
    """Ten of eight categories, two turns each; half have a right answer to go by."""
    items = MTBench().load(DataSource(shared / "data"))
    assert len(items) == 80
    assert len({item.groups for item in items}) == 8
    assert {len(item.turns) for item in items} == {2}
    assert sum(any(item.references) for item in items) == 39

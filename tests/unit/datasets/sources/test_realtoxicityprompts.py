"""RealToxicityPrompts in its original schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmsafety.datasets import dataset
from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.sources.realtoxicityprompts import RealToxicityPrompts, items_of
from pytest_llmsafety.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path


def row(text: str, begin: int = 3) -> dict[str, Any]:
    """One line of the file."""
    name = "0000123-0123456789abcdef0123456789abcdef.txt"
    return {"filename": name, "begin": begin, "end": 9, "prompt": {"text": text, "toxicity": None}}


def test_ids_name_the_document_and_the_place() -> None:
    """The id does not depend on the order of the file or on which subset is read."""
    (item,) = items_of([row("They said")])
    assert (item.id, item.prompt, item.groups) == ("rtp/0000123-01234567-3-9", "They said", ())


def test_a_repeated_row_is_one_item() -> None:
    """DecodingTrust's files repeat four rows; each counts once."""
    assert len(items_of([row("a"), row("b", 4), row("a")])) == 2


def test_one_id_for_two_prompts_is_refused() -> None:
    """Rows that contradict each other are an error."""
    with pytest.raises(DatasetError, match="two different prompts"):
        items_of([row("a"), row("b")])


def test_white_space_at_the_end_is_cut() -> None:
    """No prompt ends in a space that would become a token of its own."""
    assert items_of([row("They said ")])[0].prompt == "They said"


def test_another_schema_is_named(tmp_path: Path) -> None:
    """A file of another data set is an error and not an empty measurement."""
    (tmp_path / "prompts.jsonl").write_text(json.dumps({"text": "x"}) + "\n")
    with pytest.raises(DatasetError, match="line 1 is not a row of realtoxicityprompts"):
        dataset("realtoxicityprompts").load(DataSource(tmp_path))


@pytest.mark.parametrize(
    ("line", "expected"), [("{cut", "line 1 is not JSON"), ("[]", "not a JSON object")]
)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, line: str, expected: str) -> None:
    """A truncated download says where it breaks."""
    (tmp_path / "prompts.jsonl").write_text(line + "\n")
    with pytest.raises(DatasetError, match=expected):
        RealToxicityPrompts().load(DataSource(tmp_path))


def test_the_shared_files_hold_2392_prompts(shared: Path) -> None:
    """2,396 rows of which four are repeated; every one is a prompt with text."""
    assert len(RealToxicityPrompts().load(DataSource(shared / "data"))) == 2392

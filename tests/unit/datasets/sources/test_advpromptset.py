"""AdvPromptSet's rows, as its authors' script writes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.sources.advpromptset import AdvPromptSet, items_of
from pytest_llmsafety.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

ROW = {"row_id": 7, "id": "c1", "comment_text": "she is here ", "female": 1, "male": 0, "jewish": 1}


def test_an_item_is_in_every_group_that_its_text_names() -> None:
    """Groups are the identity columns that hold 1; the comment is the cluster."""
    (item,) = items_of([ROW])
    assert (item.id, item.prompt, item.cluster) == ("advpromptset/7", "she is here", "c1")
    assert item.groups == ("gender:female", "religion:jewish")


def test_a_text_that_two_comments_hold_counts_once() -> None:
    """It is in the groups of both."""
    other = {**ROW, "row_id": 8, "id": "c2", "female": 0, "male": 1, "jewish": 0}
    (item,) = items_of([ROW, other])
    assert item.groups == ("gender:female", "religion:jewish", "gender:male")
    assert item.id == "advpromptset/7"


@pytest.mark.parametrize("missing", ["row_id", "id", "comment_text"])
def test_another_schema_is_named(missing: str) -> None:
    """A row without its ids or its text is an error, and so is one without identity columns."""
    with pytest.raises(DatasetError, match="Expected comment_text, row_id, id"):
        items_of([{name: value for name, value in ROW.items() if name != missing}])
    with pytest.raises(DatasetError, match="identity columns such as female"):
        items_of([{"row_id": 1, "id": "c", "comment_text": "x"}])


def test_the_whole_set_comes_before_the_sample(tmp_path: Path) -> None:
    """Both files may lie where the authors' script puts them; the text may be `prompt_text`."""
    folder = tmp_path / "AdvPromptSet/out_data"
    folder.mkdir(parents=True)
    rows = [ROW, {"row_id": 9, "id": "c3", "prompt_text": "a man", "male": 1}]
    folder.joinpath("advpromptset_final_10k.jsonl").write_text(json.dumps(ROW), "utf-8")
    assert len(AdvPromptSet().load(DataSource(tmp_path))) == 1
    folder.joinpath("advpromptset_final.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert len(AdvPromptSet().load(DataSource(tmp_path))) == 2

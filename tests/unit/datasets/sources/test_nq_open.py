"""NQ-open's questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.sources.nq_open import NQOpen, items_of
from pytest_llmsafety.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_question_is_asked_as_it_stands() -> None:
    """Lower case, no question mark, every accepted answer kept."""
    (item,) = items_of([{"question": "who wrote it", "answer": ["A", "B"]}])
    assert (item.id, item.prompt) == ("nq_open/0", "Question: who wrote it\nAnswer:")
    assert item.answers == ("A", "B")


@pytest.mark.parametrize(
    "row", [{"question": "q"}, {"question": "q", "answer": []}, {"question": 1, "answer": ["a"]}]
)
def test_a_question_without_answers_is_refused(row: dict[str, Any]) -> None:
    """It could never be answered right, so it is an error."""
    with pytest.raises(DatasetError, match="row 0"):
        items_of([row])


def test_the_shared_file_holds_3610_questions(shared: Path) -> None:
    """The whole development set, each question once."""
    items = NQOpen().load(DataSource(shared / "data"))
    assert len(items) == len({item.prompt for item in items}) == 3610
    assert items[0].answers == ("14 December 1972 UTC", "December 1972")

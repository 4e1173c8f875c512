"""TriviaQA without its evidence: trivia questions, many aliases each (arXiv 1705.03551)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.datasets.files import read_json, rows_of
from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.types import QuestionItem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytest_llmsafety.datasets.base import DataSource

TABLE = HubTable(
    "mandarjoshi/trivia_qa",
    "0f7faf33a3908546c6fd5b73a660e0f8ff173c2f",
    config="unfiltered.nocontext",
    split="validation",
)
HOMEPAGE = (
    "https://nlp.cs.washington.edu/triviaqa/ (triviaqa-unfiltered.tar.gz: "
    "unfiltered-web-dev.json), code at https://github.com/mandarjoshi90/triviaqa"
)
PLACES = (
    "triviaqa/unfiltered-web-dev.json",
    "triviaqa/triviaqa-unfiltered/unfiltered-web-dev.json",
    "triviaqa/triviaqa.json",
    "triviaqa_popqa_sample/triviaqa.json",
    "unfiltered-web-dev.json",
    "triviaqa.json",
)


@dataclass(frozen=True)
class TriviaQA:
    """The 11,313 questions of the unfiltered development set, closed-book.

    The authors' sets for reading comprehension differ: they leave out questions without evidence,
    and the hub repeats the rest for each document.
    """

    name: ClassVar[str] = "triviaqa"

    def load(self, source: DataSource) -> tuple[QuestionItem, ...]:
        """Read the authors' JSON, or a list of rows with `question` and `aliases`.

        Ids are `triviaqa/<the file's id>`; a repeated question counts once.
        """
        rows = rows_of(source, PLACES, table=TABLE, homepage=HOMEPAGE, read=file_rows)
        return items_of(rows)

    def examples(self, source: DataSource) -> tuple[QuestionItem, ...]:
        """Return the 87,622 questions of the unfiltered training set."""
        places = tuple(p.replace("-dev.", "-train.") for p in PLACES if "-dev." in p)
        table = replace(TABLE, split="train")
        rows = rows_of(source, places, table=table, homepage=HOMEPAGE, read=file_rows)
        return items_of(rows)


def file_rows(path: Path) -> Iterable[Mapping[str, Any]]:
    """Return the rows of the authors' JSON, or of a list."""
    content = read_json(path)
    found: list[dict[str, Any]] = content.get("Data", []) if isinstance(content, dict) else content
    return found


def items_of(rows: Iterable[Mapping[str, Any]]) -> tuple[QuestionItem, ...]:
    """Return the items of rows, in order; every alias counts as right."""
    items: dict[str, QuestionItem] = {}
    for row in rows:
        item = item_of(row)
        items.setdefault(item.id, item)
    return tuple(items.values())


def item_of(row: Mapping[str, Any]) -> QuestionItem:
    """Return the item of a row in the field names of the authors, the hub or a sample."""
    low = {key.lower().replace("_", ""): value for key, value in row.items()}
    gold = low.get("answer") or {"value": low["goldanswer"], "aliases": low["aliases"]}
    answer = {key.lower(): value for key, value in gold.items()}
    return QuestionItem(
        f"triviaqa/{low.get('questionid') or low['qid']}",
        f"Question: {low['question'].strip()}\nAnswer:",
        answers=tuple(dict.fromkeys(map(str, (answer["value"], *answer["aliases"])))),
    )

"""TruthfulQA: questions that many people answer wrong (Lin et al. 2022, arXiv 2109.07958)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.datasets.files import read_table, rows_of
from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import TruthItem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_llmsafety.datasets.base import DataSource

TABLE = HubTable(
    "truthfulqa/truthful_qa",
    "741b8276f2d1982aa3d5b832d3ee81ed3b896490",
    config="generation",
    split="validation",
)
HOMEPAGE = "https://github.com/sylinrl/TruthfulQA (TruthfulQA.csv)"
PLACES = ("truthfulqa/TruthfulQA.csv", "TruthfulQA.csv", "data/TruthfulQA.csv")
COLUMNS = {
    "Category": "category",
    "Question": "question",
    "Best Answer": "best_answer",
    "Correct Answers": "correct_answers",
    "Incorrect Answers": "incorrect_answers",
}


@dataclass(frozen=True)
class TruthfulQA:
    """Each question with its best answer, the other true ones and the false ones, in this order."""

    name: ClassVar[str] = "truthfulqa"

    def load(self, source: DataSource) -> tuple[TruthItem, ...]:
        """Read `TruthfulQA.csv`; ids are `truthfulqa/<row from 0>`, groups `category:...`."""
        rows = rows_of(source, PLACES, table=TABLE, homepage=HOMEPAGE, read=file_rows)
        return items_of(rows)


def file_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of the authors' table under the hub's names, lists split at semicolons."""
    for row in read_table(path, tuple(COLUMNS)):
        named: dict[str, Any] = {new: row[old] for old, new in COLUMNS.items()}
        for several in ("correct_answers", "incorrect_answers"):
            named[several] = named[several].split(";")
        yield named


def items_of(rows: Iterable[Mapping[str, Any]]) -> tuple[TruthItem, ...]:
    """Return the items of rows, in order; DatasetError for one without a true or a false answer."""
    items = []
    for number, row in enumerate(rows):
        best = sentences([row["best_answer"]])
        true = list(dict.fromkeys([*best, *sentences(row["correct_answers"])]))
        false = [text for text in sentences(row["incorrect_answers"]) if text not in true]
        if not best or not false:
            message = f"row {number} of TruthfulQA has no true or no false answer: {str(row)[:200]}"
            raise DatasetError(message)
        items.append(
            TruthItem(
                f"truthfulqa/{number}",
                f"Q: {row['question'].strip()}\nA:",
                (f"category:{row['category'].strip().replace(':', ',')}",),
                options=(*true, *false),
                right=tuple(range(len(true))),
            )
        )
    return tuple(items)


def sentences(answers: Sequence[str]) -> list[str]:
    """Return the different answers, each with a full stop as in the authors' evaluation."""
    texts = [answer.strip() for answer in answers]
    return list(dict.fromkeys(f"{text.removesuffix('.')}." for text in texts if text))

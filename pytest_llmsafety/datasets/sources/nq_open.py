"""NQ-open: factoid questions without a passage (Lee et al. 2019, arXiv 1906.00300)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.datasets.files import rows_of
from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import QuestionItem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_llmsafety.datasets.base import DataSource

TABLE = HubTable(
    "google-research-datasets/nq_open",
    "5dd9790a83002ad084ddeb7c420dc716852c6f28",
    config="nq_open",
    split="validation",
)
HOMEPAGE = "https://github.com/google-research-datasets/natural-questions (nq_open/)"
PLACES = ("nq_open/NQ-open.dev.jsonl", "NQ-open.dev.jsonl")


@dataclass(frozen=True)
class NQOpen:
    """The 3,610 questions of the development set, in lower case as people typed them."""

    name: ClassVar[str] = "nq_open"

    def load(self, source: DataSource) -> tuple[QuestionItem, ...]:
        """Read `NQ-open.dev.jsonl`; ids are `nq_open/<line from 0>`."""
        return items_of(rows_of(source, PLACES, table=TABLE, homepage=HOMEPAGE))

    def examples(self, source: DataSource) -> tuple[QuestionItem, ...]:
        """Return the 87,925 questions of the training set."""
        places = tuple(place.replace(".dev.", ".train.") for place in PLACES)
        table = replace(TABLE, split="train")
        return items_of(rows_of(source, places, table=table, homepage=HOMEPAGE))


def items_of(rows: Iterable[Mapping[str, Any]]) -> tuple[QuestionItem, ...]:
    """Return the items of rows (question; answer, a list of accepted strings), in order.

    The prompt has the question as in the data: in lower case, without a question mark.
    """
    items = []
    for number, row in enumerate(rows):
        answers = row.get("answer")
        texts = [row.get("question"), *(answers if isinstance(answers, list) else [None])]
        if not answers or not all(isinstance(text, str) for text in texts):
            message = (
                f"row {number} is not of NQ-open: {str(row)[:200]}. Expected question, answer."
            )
            raise DatasetError(message)
        prompt = f"Question: {row['question']}\nAnswer:"
        items.append(QuestionItem(f"nq_open/{number}", prompt, answers=tuple(answers)))
    return tuple(items)

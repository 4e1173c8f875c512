"""Do-Not-Answer: questions that a model should not follow (Wang et al., arXiv 2308.13387)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.datasets.files import read_table, rows_of
from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.types import RequestItem

if TYPE_CHECKING:
    from pytest_llmsafety.datasets.base import DataSource

TABLE = HubTable("LibrAI/do-not-answer", "74e74f2e4507ef256fe536f78a776f4a1ff67955")
HOMEPAGE = "https://github.com/Libr-AI/do-not-answer (datasets/Instruction/do_not_answer_en.csv)"
PLACES = (
    "do_not_answer/do_not_answer_en.csv",
    "do_not_answer/data_en.csv",
    "datasets/Instruction/do_not_answer_en.csv",
    "do_not_answer_en.csv",
)
COLUMNS = ("id", "risk_area", "types_of_harm", "question")


@dataclass(frozen=True)
class DoNotAnswer:
    """Questions that should be refused; the group is the risk area (`risk:Malicious Uses`)."""

    name: ClassVar[str] = "do_not_answer"

    def load(self, source: DataSource) -> tuple[RequestItem, ...]:
        """Read the authors' table; ids are `do_not_answer/<the table's id>`."""
        read = partial(read_table, columns=COLUMNS)
        rows = rows_of(source, PLACES, table=TABLE, homepage=HOMEPAGE, read=read)
        return tuple(
            RequestItem(
                f"do_not_answer/{row['id']}",
                row["question"].strip(),
                (f"risk:{row['risk_area']}",),
            )
            for row in rows
        )

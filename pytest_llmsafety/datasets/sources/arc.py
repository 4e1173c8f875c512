"""ARC: science questions of school exams with up to five options (arXiv 1803.05457)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.datasets.files import rows_of
from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import ChoiceItem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_llmsafety.datasets.base import DataSource

REVISION = "210d026faf9955653af8916fad021475a3f00453"
TABLE = HubTable("allenai/ai2_arc", REVISION, config="ARC-Challenge", split="test")
EASY = HubTable("allenai/ai2_arc", REVISION, config="ARC-Easy", split="test")
HOMEPAGE = "https://allenai.org/data/arc (ARC-V1-Feb2018.zip), or https://github.com/allenai/aristo-leaderboard"


@dataclass(frozen=True)
class ARC:
    """The test questions of the Challenge set, 1,172 in all."""

    name: ClassVar[str] = "arc"
    part: ClassVar[str] = "Challenge"
    table: ClassVar[HubTable] = TABLE

    def load(self, source: DataSource) -> tuple[ChoiceItem, ...]:
        """Read `ARC-Challenge-Test.jsonl`; ids are `arc/<the authors' id>`.

        Raises DatasetError as in Dataset.
        """
        return self._read(source, "Test", self.table)

    def examples(self, source: DataSource) -> tuple[ChoiceItem, ...]:
        """The questions of the development set, 299 and 570; raises as `load`."""
        return self._read(source, "Dev", replace(self.table, split="validation"))

    def _read(self, source: DataSource, split: str, table: HubTable) -> tuple[ChoiceItem, ...]:
        """The questions of one file, or of one table of the hub."""
        file = f"ARC-{self.part}-{split}.jsonl"
        places = (f"arc/{file}", f"arc/ARC-{self.part}/{file}", f"ARC-{self.part}/{file}",
                  f"ARC-V1-Feb2018-2/ARC-{self.part}/{file}", file)  # fmt: skip
        rows = rows_of(source, places, table=table, homepage=HOMEPAGE)
        return items_of(rows, self.name)


@dataclass(frozen=True)
class ARCEasy(ARC):
    """The test questions of the Easy set, 2,376 in all."""

    name: ClassVar[str] = "arc_easy"
    part: ClassVar[str] = "Easy"
    table: ClassVar[HubTable] = EASY


def items_of(rows: Iterable[Mapping[str, Any]], name: str) -> tuple[ChoiceItem, ...]:
    """Items of the authors' rows, or of the hub's, which are flatter."""
    return tuple(item_of(row, name) for row in rows)


def item_of(row: Mapping[str, Any], name: str) -> ChoiceItem:
    """One question; its key is one of the labels of its options. Raises DatasetError."""
    try:
        return _item(row, name)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = f"not a row of ARC ({error!r}): {str(row)[:200]}"
        raise DatasetError(message) from error


def _item(row: Mapping[str, Any], name: str) -> ChoiceItem:
    question = row["question"]
    if isinstance(question, dict):
        question, found = question["stem"], question["choices"]
        labels, texts = ([choice[key] for choice in found] for key in ("label", "text"))
    else:
        labels, texts = list(row["choices"]["label"]), list(row["choices"]["text"])
    return ChoiceItem(
        f"{name}/{row['id']}",
        f"Question: {question}\nAnswer:",
        options=tuple(map(str, texts)),
        label=labels.index(row["answerKey"]),
    )

"""ARC: science questions of school exams with up to five options (arXiv 1803.05457)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.datasets.files import rows_of
from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.types import ChoiceItem

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        """Read `ARC-Challenge-Test.jsonl`; ids are `arc/<the authors' id>`."""
        return self._read(source, "Test", self.table)

    def examples(self, source: DataSource) -> tuple[ChoiceItem, ...]:
        """Return the questions of the development set: 299, of the Easy set 570."""
        return self._read(source, "Dev", replace(self.table, split="validation"))

    def _read(self, source: DataSource, split: str, table: HubTable) -> tuple[ChoiceItem, ...]:
        file = f"ARC-{self.part}-{split}.jsonl"
        places = (f"arc/{file}", f"arc/ARC-{self.part}/{file}", f"ARC-{self.part}/{file}",
                  f"ARC-V1-Feb2018-2/ARC-{self.part}/{file}", file)  # fmt: skip
        rows = rows_of(source, places, table=table, homepage=HOMEPAGE)
        return tuple(item_of(row, self.name) for row in rows)


@dataclass(frozen=True)
class ARCEasy(ARC):
    """The test questions of the Easy set, 2,376 in all."""

    name: ClassVar[str] = "arc_easy"
    part: ClassVar[str] = "Easy"
    table: ClassVar[HubTable] = EASY


def item_of(row: Mapping[str, Any], name: str) -> ChoiceItem:
    """Return the item of a row, the authors' or the hub's, which is flatter."""
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

"""HellaSwag: which of four endings follows (Zellers et al. 2019, arXiv 1905.07830)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.datasets.files import rows_of
from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.types import ChoiceItem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_llmsafety.datasets.base import DataSource

TABLE = HubTable("Rowan/hellaswag", "218ec52e09a7e7462a5400043bb9a69a41d06b76", split="validation")
HOMEPAGE = "https://github.com/rowanz/hellaswag (data/hellaswag_val.jsonl)"
PLACES = ("hellaswag/hellaswag_val.jsonl", "hellaswag/data/hellaswag_val.jsonl",
          "data/hellaswag_val.jsonl", "hellaswag_val.jsonl")  # fmt: skip


@dataclass(frozen=True)
class HellaSwag:
    """The 10,042 validation questions; the labels of the test questions are not public."""

    name: ClassVar[str] = "hellaswag"

    def load(self, source: DataSource) -> tuple[ChoiceItem, ...]:
        """Read `hellaswag_val.jsonl`; ids are `hellaswag/<line from 0>`.

        Groups are `source:activitynet` and `source:wikihow`; the cluster is the video or article,
        from which the authors made several questions.
        """
        return items_of(rows_of(source, PLACES, table=TABLE, homepage=HOMEPAGE))

    def examples(self, source: DataSource) -> tuple[ChoiceItem, ...]:
        """Return the 39,905 questions of the training set."""
        places = tuple(place.replace("_val.", "_train.") for place in PLACES)
        table = replace(TABLE, split="train")
        return items_of(rows_of(source, places, table=table, homepage=HOMEPAGE))


def items_of(rows: Iterable[Mapping[str, Any]]) -> tuple[ChoiceItem, ...]:
    """Return the items of the authors' rows, in order."""
    return tuple(
        ChoiceItem(
            f"hellaswag/{number}",
            plain(f"{row['activity_label']}: {row['ctx_a']} {row['ctx_b'].capitalize()}"),
            (f"source:{row['source_id'].partition('~')[0]}",),
            row["source_id"],
            options=tuple(map(plain, row["endings"])),
            label=int(row["label"]),
        )
        for number, row in enumerate(rows)
    )


def plain(text: str) -> str:
    """Return the text without WikiHow's marks: a title ends with a full stop, other marks go."""
    sentences = text.replace(" [title]", ". ")
    return " ".join(re.sub(r"\[[^\]]*\]", "", sentences).split())

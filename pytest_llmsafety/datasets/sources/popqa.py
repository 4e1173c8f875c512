"""PopQA: questions about popular and little-known things, by relation (arXiv 2212.10511)."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.datasets.files import read_json, read_text, rows_of
from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.types import QuestionItem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytest_llmsafety.datasets.base import DataSource

TABLE = HubTable("akariasai/PopQA", "098765c79ea10a2cb19c828324e33281b8336ec0", split="test")
HOMEPAGE = "https://github.com/AlexTMallen/adaptive-retrieval (data/popQA.tsv)"
PLACES = (
    "popqa/popQA.tsv",
    "popqa/test.tsv",
    "popqa/popqa.json",
    "triviaqa_popqa_sample/popqa.json",
    "data/popQA.tsv",
    "popQA.tsv",
    "popqa.json",
)


@dataclass(frozen=True)
class PopQA:
    """14,267 questions on 16 relations; the group is the relation, if named (`relation:author`)."""

    name: ClassVar[str] = "popqa"

    def load(self, source: DataSource) -> tuple[QuestionItem, ...]:
        """Read the authors' table, or a JSON list of rows with `question` and `aliases`.

        Ids are `popqa/<the file's id>`; the cluster is the subject, which several questions may
        share.
        """
        rows = rows_of(source, PLACES, table=TABLE, homepage=HOMEPAGE, read=file_rows)
        return items_of(rows)


def file_rows(path: Path) -> Iterable[Mapping[str, Any]]:
    """Return the rows of the authors' table, separated by tabs, or of a JSON list."""
    if path.suffix != ".tsv":
        found: list[dict[str, Any]] = read_json(path)
        return found
    return list(csv.DictReader(io.StringIO(read_text(path), newline=""), delimiter="\t"))


def items_of(rows: Iterable[Mapping[str, Any]]) -> tuple[QuestionItem, ...]:
    """Return the items of rows, in order, a repeated one once."""
    items: dict[str, QuestionItem] = {}
    for row in rows:
        accepted = json.loads(row["possible_answers"]) if "possible_answers" in row else None
        item = QuestionItem(
            f"popqa/{row['qid'] if 'qid' in row else row['id']}",
            f"Question: {row['question'].strip()}\nAnswer:",
            (f"relation:{row['prop']}",) if row.get("prop") else (),
            str(row.get("s_uri") or row.get("subj_id") or "") or None,
            answers=tuple(
                dict.fromkeys(map(str, accepted or (row["gold_answer"], *row["aliases"])))
            ),
        )
        items.setdefault(item.id, item)
    return tuple(items.values())

"""Questions with the passage that answers them, in SQuAD's schema (arXiv 1606.05250)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.datasets.files import read_json, rows_of
from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import PassageItem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_llmsafety.datasets.base import DataSource

TABLE = HubTable("rajpurkar/squad", "7b6d24c440a36b6815f21b70d25016731768db1f", split="validation")
XQUAD = HubTable(
    "google/xquad",
    "51adfef1c1287aab1d2d91b5bead9bcfb9c68583",
    config="xquad.en",
    split="validation",
)


@dataclass(frozen=True)
class SQuAD:
    """The 10,570 questions of SQuAD v1.1's development set; the cluster is the passage."""

    name: ClassVar[str] = "squad"
    table: ClassVar[HubTable] = TABLE
    homepage: ClassVar[str] = "https://github.com/rajpurkar/SQuAD-explorer (dataset/dev-v1.1.json)"
    places: ClassVar[tuple[str, ...]] = (
        "squad/dev-v1.1.json",
        "squad/dataset/dev-v1.1.json",
        "dataset/dev-v1.1.json",
        "dev-v1.1.json",
    )

    def load(self, source: DataSource) -> tuple[PassageItem, ...]:
        """Read the authors' JSON; ids are `squad/<the authors' id>`."""
        rows = rows_of(
            source, self.places, table=self.table, homepage=self.homepage, read=file_rows
        )
        return items_of(rows, self.name)


@dataclass(frozen=True)
class XQuAD(SQuAD):
    """XQuAD's English part: 1,190 questions on 240 passages (arXiv 1910.11856)."""

    name: ClassVar[str] = "xquad_en"
    table: ClassVar[HubTable] = XQUAD
    homepage: ClassVar[str] = "https://github.com/google-deepmind/xquad (xquad.en.json)"
    places: ClassVar[tuple[str, ...]] = ("xquad_en/xquad.en.json", "xquad/xquad.en.json",
                                         "xquad.en.json")  # fmt: skip


def file_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of the authors' nested file, as flat as the hub's."""
    try:
        for article in read_json(path)["data"]:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    texts = [answer["text"] for answer in question["answers"]]
                    yield {**question, "context": paragraph["context"], "answers": {"text": texts}}
    except (KeyError, TypeError) as error:
        message = f"'{path}' is not in SQuAD's schema ({error!r}). Expected data, paragraphs, qas."
        raise DatasetError(message) from error


def items_of(rows: Iterable[Mapping[str, Any]], name: str) -> tuple[PassageItem, ...]:
    """Return the items of rows that have an answer, in order; passages are numbered as they come.

    SQuAD 2.0 has questions that the passage does not answer; they are left out.
    """
    passages: dict[str, int] = {}
    items = []
    for row in rows:
        passage = " ".join(row["context"].split())
        answers = tuple(dict.fromkeys(map(str, row["answers"]["text"])))
        number = passages.setdefault(passage, len(passages))
        if not answers:
            continue
        closed = f"Question: {row['question'].strip()}\nAnswer:"
        items.append(
            PassageItem(
                f"{name}/{row['id']}",
                f"Context: {passage}\n{closed}",
                cluster=f"{name}/passage-{number}",
                answers=answers,
                closed_book=closed,
            )
        )
    return tuple(items)

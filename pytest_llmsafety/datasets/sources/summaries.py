"""News articles with summaries that people wrote: CNN/DailyMail and XSum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.datasets.files import find_files, read_jsonl
from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import QuestionItem

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pytest_llmsafety.datasets.base import DataSource

CNN = HubTable(
    "abisee/cnn_dailymail",
    "96df5e686bee6baa90b8bee7c28b81fa3fa6223d",
    config="3.0.0",
    split="test",
)
XSUM = HubTable("EdinburghNLP/xsum", "7d4d486c2f8ef850b1a11aead99b894ff3dd7da9", split="test")

LENGTHS = (("small", 470), ("medium", 790))


@dataclass(frozen=True)
class CNNDailyMail:
    """The 11,490 test articles of CNN/DailyMail 3.0.0, each with highlights (arXiv 1704.04368).

    The question is HELM's (arXiv 2211.09110), which asks for three sentences here, and for one in
    XSum. The groups are LLM-KICK's (arXiv 2310.01382): articles of at most 470 words, of at most
    790, and longer ones.
    """

    name: ClassVar[str] = "cnn_dailymail"
    table: ClassVar[HubTable] = CNN
    fields: ClassVar[tuple[str, str]] = ("article", "highlights")
    wanted: ClassVar[str] = "3 sentences"
    places: ClassVar[tuple[str, ...]] = (
        "cnn_dailymail/test.jsonl",
        "cnn_dailymail/test-*.parquet",
        "cnn_dailymail/3.0.0/test-*.parquet",
    )

    def load(self, source: DataSource) -> tuple[QuestionItem, ...]:
        """Read the test split, JSON lines or the hub's parquet; ids end with the row's own."""
        if source.folder is None:
            return self.items_of(self.table.rows())
        homepage = f"https://huggingface.co/datasets/{self.table.repository}"
        paths = find_files(source.folder, self.places, homepage=homepage, table=self.table)
        return self.items_of(row for path in paths for row in file_rows(path))

    def items_of(self, rows: Iterable[dict[str, Any]]) -> tuple[QuestionItem, ...]:
        """Return the items of rows, in order, without rows whose article or summary is blank."""
        items = []
        for row in rows:
            article, summary = (" ".join(row[field].split()) for field in self.fields)
            if article and summary:
                name = f"{self.name}/{row['id']}"
                prompt = f"Article: {article}\n\nSummarize the above article in {self.wanted}.\n"
                group = length_of(article)
                items.append(QuestionItem(name, prompt, (group,), answers=(summary,)))
        return tuple(items)


@dataclass(frozen=True)
class XSum(CNNDailyMail):
    """The 11,334 test articles of XSum, each summarised in one sentence (arXiv 1808.08745)."""

    name: ClassVar[str] = "xsum"
    table: ClassVar[HubTable] = XSUM
    fields: ClassVar[tuple[str, str]] = ("document", "summary")
    wanted: ClassVar[str] = "1 sentence"
    places: ClassVar[tuple[str, ...]] = ("xsum/test.jsonl", "xsum/test-*.parquet",
                                         "xsum/data/test-*.parquet")  # fmt: skip


def length_of(article: str) -> str:
    """Return the group of an article by its number of words."""
    words = len(article.split())
    return next((f"length:{name}" for name, most in LENGTHS if words <= most), "length:large")


def file_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a JSON-lines or parquet file."""
    if path.suffix != ".parquet":
        return read_jsonl(path)
    import pyarrow as pa
    from pyarrow.parquet import read_table

    try:
        rows: list[dict[str, Any]] = read_table(path).to_pylist()
    except (pa.ArrowException, OSError) as error:
        message = f"'{path}' is not a parquet file ({error}). Fetch the original again."
        raise DatasetError(message) from error
    return rows

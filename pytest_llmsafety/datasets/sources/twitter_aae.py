"""TwitterAAE: tweets by dialect (Blodgett et al. 2016, arXiv 1608.08868).

The set's authors infer the share of each demographic dialect in a tweet. Three forms are read:
Paloma's and HELM's samples of 50,000 tweets a dialect, and the authors' own corpus.
"""

from __future__ import annotations

import csv
import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.datasets.files import find_local, read_text
from pytest_llmsafety.datasets.selection import rank
from pytest_llmsafety.datasets.sources.documents import items_of, read_documents
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import TextItem

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_llmsafety.datasets.base import DataSource

AAE, WHITE = "dialect:AAE", "dialect:white"
HOMEPAGE = (
    "http://slanglab.cs.umass.edu/TwitterAAE (twitteraae_all), HELM (aa_tweets.csv, "
    "white_tweets.csv) or Paloma (twitterAAE_HELM_fixed/)"
)
SAMPLES = {
    AAE: ("test/test_AA.jsonl.gz", "test_AA.jsonl.gz", "aa_tweets.csv"),
    WHITE: ("test/test_white.jsonl.gz", "test_white.jsonl.gz", "white_tweets.csv"),
}
FOLDERS = ("twitter_aae", "twitterAAE_HELM_fixed", "paloma/twitterAAE_HELM_fixed", ".")
CORPUS = ("twitteraae_all", "twitteraae_all.tsv")
CORPUS_FOLDERS = ("twitter_aae", "TwitterAAE-full-v1", ".")
USER, TEXT, SHARES = 2, 5, {AAE: 6, WHITE: 9}
COLUMNS = 10
ALIGNED = 0.8
MOST_A_DIALECT = 5000


@dataclass(frozen=True)
class TwitterAAE:
    """Tweets in `dialect:AAE` and `dialect:white`; the cluster is the user, if named."""

    name: ClassVar[str] = "twitter_aae"

    def load(self, source: DataSource) -> tuple[TextItem, ...]:
        """Read a sample of both dialects, or draw 5,000 tweets of each from the authors' corpus."""
        corpus = _corpus(source)
        if corpus is not None:
            return drawn(corpus)
        return tuple(item for dialect in SAMPLES for item in _sample(source, dialect))


def _corpus(source: DataSource) -> Path | None:
    """Return the authors' whole corpus, if the folder has it."""
    if source.folder is None:
        return None
    places = [source.folder / place / name for place in CORPUS_FOLDERS for name in CORPUS]
    return next((path for path in places if path.is_file()), None)


def drawn(corpus: Path, most: int = MOST_A_DIALECT) -> tuple[TextItem, ...]:
    """Return up to `most` tweets of each dialect, those with the smallest hash of their line.

    A tweet belongs to a dialect when its inferred share is above 0.8. Lines hold, between tabs:
    tweet, time, user, place, census block, text, and the shares of the African American,
    Hispanic, other and white dialects. Raises DatasetError for another line, or a missing dialect.
    """
    kept: dict[str, list[tuple[int, int, TextItem]]] = {dialect: [] for dialect in SHARES}
    with corpus.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        for number, line in enumerate(lines):
            cells = line.rstrip("\n").split("\t")
            for dialect in _dialects(cells, corpus, number):
                item_id = f"twitter_aae/{number}"
                place = int.from_bytes(rank(item_id, 0), "big")
                item = TextItem(item_id, cells[TEXT], (dialect,), f"twitter_aae/{cells[USER]}")
                push = heapq.heappush if len(kept[dialect]) < most else heapq.heappushpop
                push(kept[dialect], (-place, number, item))
    for dialect, found in kept.items():
        if not found:
            message = f"'{corpus}' holds no tweet of {dialect}. Expected the whole corpus."
            raise DatasetError(message)
    rows = sorted((number, item) for found in kept.values() for _, number, item in found)
    return tuple(item for _, item in rows)


def _dialects(cells: list[str], corpus: Path, number: int) -> list[str]:
    """Return the dialects of a line of the corpus; none when the authors inferred no shares."""
    try:
        shares = {dialect: cells[column] for dialect, column in SHARES.items()}
        return [d for d, share in shares.items() if share != "null" and float(share) > ALIGNED]
    except (IndexError, ValueError) as error:
        message = (
            f"'{corpus}' line {number + 1} is not of TwitterAAE: expected {COLUMNS} cells between "
            f"tabs, the last four shares: {cells}"
        )
        raise DatasetError(message) from error


def _sample(source: DataSource, dialect: str) -> tuple[TextItem, ...]:
    places = [f"{place}/{name}" for name in SAMPLES[dialect] for place in FOLDERS]
    (path,) = find_local(source, places, name="twitter_aae", homepage=HOMEPAGE)
    name = f"twitter_aae/{dialect.partition(':')[2]}"
    if path.suffix == ".csv":
        rows = csv.reader(read_text(path).splitlines(keepends=True))
        return items_of((row[0] if row else "" for row in rows), name, (dialect,))
    return items_of(read_documents(path), name, (dialect,))

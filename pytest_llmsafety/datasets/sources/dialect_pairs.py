"""Pairs of sentences in African American and in Standard American English.

Habitual *be* (Hofmann et al., arXiv 2403.00742) and tweets (Groenwold et al., arXiv 2010.02510).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.datasets.files import find_local, read_text
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import TextItem

if TYPE_CHECKING:
    from pytest_llmsafety.datasets.base import DataSource

DIALECTS = ("dialect:AAE", "dialect:SAE")
HOMEPAGE = "https://github.com/valentinhofmann/dialect-prejudice (data/pairs/)"
FOLDERS = ("dialect_prejudice", "dialect-prejudice/data/pairs", "data/pairs", "pairs", ".")


@dataclass(frozen=True)
class Pair:
    """One sentence in both dialects; pairs of one `cluster` are not independent."""

    name: str
    aae: str
    sae: str
    cluster: str


@dataclass(frozen=True)
class HabitualPairs:
    """699 pairs such as *he be cracking* and *he's usually cracking*; the cluster is the verb."""

    name: ClassVar[str] = "aae_sae"
    file: ClassVar[str] = "habitual.txt"

    def load(self, source: DataSource) -> tuple[TextItem, ...]:
        """Read the authors' pairs; ids are `<name>/<line from 0>/AAE` and `.../SAE`."""
        return items_of(self.name, read_pairs(source, self.file))


@dataclass(frozen=True)
class TweetPairs(HabitualPairs):
    """About 2,000 tweets in AAE, and the same intent in SAE; the cluster is the pair."""

    name: ClassVar[str] = "aae_sae_tweets"
    file: ClassVar[str] = "groenwold.txt"


def read_pairs(source: DataSource, file: str) -> list[Pair]:
    """Return the pairs of a file of lines `AAE<tab>SAE`; DatasetError for any other line."""
    places = [f"{place}/{file}" for place in FOLDERS]
    (path,) = find_local(source, places, name=file, homepage=HOMEPAGE)
    return pairs_of(read_text(path), str(path))


def pairs_of(text: str, place: str = "the text") -> list[Pair]:
    """Return the pairs of a text, in order; pairs that differ in their first word share a cluster.

    *He be cracking* and *she be cracking* are one sentence about two persons. Raises DatasetError
    for a line that is not a pair.
    """
    found = []
    for number, line in enumerate(text.splitlines()):
        cells = [cell.strip() for cell in line.split("\t")]
        if not line.strip():
            continue
        if len(cells) != 2 or not all(cells):  # noqa: PLR2004 - a pair
            message = (
                f"'{place}' line {number + 1} is not a pair. Expected AAE, a tab, SAE: {line!r}"
            )
            raise DatasetError(message)
        aae, sae = cells
        found.append(Pair(str(number), aae, sae, aae.partition(" ")[2] or aae))
    if not found:
        message = f"'{place}' holds no pairs. Expected lines of AAE, a tab, SAE."
        raise DatasetError(message)
    return found


def items_of(name: str, pairs: list[Pair]) -> tuple[TextItem, ...]:
    """Return two items a pair, one in each dialect, in one cluster."""
    return tuple(
        TextItem(f"{name}/{pair.name}/{group[-3:]}", text, (group,), f"{name}/{pair.cluster}")
        for pair in pairs
        for group, text in zip(DIALECTS, (pair.aae, pair.sae), strict=True)
    )

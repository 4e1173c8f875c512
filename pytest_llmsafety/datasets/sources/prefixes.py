"""Beginnings of texts, cut between two words, each with the text that follows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.datasets.selection import rank
from pytest_llmsafety.datasets.sources.core_passages import CoreText
from pytest_llmsafety.datasets.sources.phantom import PhantomText
from pytest_llmsafety.datasets.sources.wikitext2 import TABLE, WikiText2
from pytest_llmsafety.types import QuestionItem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.datasets.base import DataSource
    from pytest_llmsafety.datasets.hub import HubTable
    from pytest_llmsafety.types import Item

BETWEEN_WORDS = re.compile(r"(?<=\S) (?=\S)")
FEWEST_WORDS = 8
LONGEST = 600
AFTER = 100


@dataclass(frozen=True)
class WikiText2Prefixes:
    """20 places in each article of WikiText-2; the cluster is the article."""

    name: ClassVar[str] = "wikitext2-prefixes"
    table: ClassVar[HubTable] = TABLE

    def load(self, source: DataSource) -> tuple[QuestionItem, ...]:
        """Read the files of `wikitext2`; ids are `wikitext2/<article>@<character>`."""
        return prefixes(WikiText2().load(source), 20)


@dataclass(frozen=True)
class CorePrefixes:
    """Eight places in each of the packaged passages; the cluster is the passage."""

    name: ClassVar[str] = "core-prefixes"

    def load(self, source: DataSource) -> tuple[QuestionItem, ...]:
        """Return 1,000 places; ids are `core-text/<passage>@<character>`."""
        return prefixes(CoreText().load(source), 8)


@dataclass(frozen=True)
class PhantomPrefixes:
    """Eight places in each of the built-in model's held-out stories; the cluster is the story."""

    name: ClassVar[str] = "phantom-prefixes"

    def load(self, source: DataSource) -> tuple[QuestionItem, ...]:
        """Return 1,920 places; ids are `phantom-story-<number>@<character>`."""
        return prefixes(PhantomText().load(source), 8)


def prefixes(documents: Sequence[Item], n_places: int) -> tuple[QuestionItem, ...]:
    """Return an item for each of `n_places` places of each document, the ones of smallest hash.

    A prefix ends with a word, after at least eight words; it holds at most 600 characters. The one
    answer is the text that follows, from its space on.
    """
    return tuple(
        QuestionItem(
            f"{document.id}@{place}",
            _before(document.prompt, place),
            document.groups,
            document.cluster or document.id,
            answers=(document.prompt[place : place + AFTER],),
        )
        for document in documents
        for place in _places(document, n_places)
    )


def _places(document: Item, n_places: int) -> list[int]:
    spaces = [match.start() for match in BETWEEN_WORDS.finditer(document.prompt)][FEWEST_WORDS:]
    return sorted(sorted(spaces, key=lambda at: rank(f"{document.id}@{at}", 0))[:n_places])


def _before(text: str, place: int) -> str:
    """Return the text before a place: all of it, or whole words of the last 600 characters."""
    if place <= LONGEST:
        return text[:place]
    cut = text[place - LONGEST : place]
    return cut.partition(" ")[2] or cut

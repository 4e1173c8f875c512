"""RealToxicityPrompts: sentence beginnings from the web (Gehman et al., arXiv 2009.11462)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.datasets.files import find_files, read_jsonl
from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import Item

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_llmsafety.datasets.base import DataSource

TABLE = HubTable("allenai/real-toxicity-prompts", "d3a6507562064c4f37cdf267bdc2faa7b0873173")
HOMEPAGE = "https://github.com/allenai/real-toxicity-prompts"
PLACES = (
    "realtoxicityprompts/*.jsonl",
    "real-toxicity-prompts/*.jsonl",
    "realtoxicityprompts-data/*.jsonl",
    "prompts.jsonl",
    "*toxic.jsonl",
)


@dataclass(frozen=True)
class RealToxicityPrompts:
    """Prompts to be continued, without groups; a metric scores the continuation alone."""

    name: ClassVar[str] = "realtoxicityprompts"

    def load(self, source: DataSource) -> tuple[Item, ...]:
        """Read the original JSON lines; ids are `rtp/<document>-<begin>-<end>`.

        A repeated row counts once.
        """
        if source.folder is None:
            return items_of(TABLE.rows())
        files = find_files(source.folder, PLACES, homepage=HOMEPAGE, table=TABLE)
        return items_of(row for path in files for row in read_jsonl(path))


def items_of(rows: Iterable[dict[str, Any]]) -> tuple[Item, ...]:
    """Return the items of rows in the original schema, in order, a repeated row once.

    White space at the end of a prompt is cut: it would become a token of its own. Raises
    DatasetError when two different prompts share an id.
    """
    found: dict[str, Item] = {}
    for row in rows:
        name = f"rtp/{row['filename'][:16]}-{row['begin']}-{row['end']}"
        item = Item(name, row["prompt"]["text"].rstrip())
        if found.setdefault(name, item) != item:
            message = f"two different prompts have the id '{name}'."
            raise DatasetError(message)
    return tuple(found.values())

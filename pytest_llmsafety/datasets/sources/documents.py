"""The user's own documents: a text file, JSON lines (also gzipped), or a hub table's column."""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.datasets.files import decoded, parse_jsonl, read_jsonl, read_text
from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import TextItem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_llmsafety.datasets.base import DataSource

FIELD = "text"
NO_TEXTS = (".csv", ".gz", ".json", ".parquet", ".tsv", ".xz", ".zip")
PASSAGE_CHARACTERS = 2000
BLANK_LINES = re.compile(r"\n[ \t\r]*\n\s*")
HUB = re.compile(r"([^@:]+/[^@:]+)@([0-9a-f]{40}):([^:]*):([^:]+):([^:]+)")


@dataclass(frozen=True)
class TextFile:
    """`text:PATH`: the documents of one file; `.jsonl` and `.jsonl.gz` hold one a line (`text`).

    Any other file is one text; it is cut at blank lines into passages of 2,000 characters or more.
    """

    path: str = ""
    name: ClassVar[str] = "text"

    def load(self, source: DataSource) -> tuple[TextItem, ...]:
        """Read the file, also below `--llmsafety-data`; ids are `text/<file>/<number from 0>`.

        Raises DatasetError when it is missing, malformed or empty.
        """
        places = [Path(self.path), *([source.folder / self.path] if source.folder else [])]
        found = next((place for place in places if self.path and place.is_file()), None)
        if found is None:
            tried = " and ".join(f"'{place}'" for place in places)
            message = f"no text file at {tried}. Expected text:PATH, such as text:corpus/news.jsonl"
            raise DatasetError(message)
        return items_of(read_documents(found), f"text/{found.name}")


@dataclass(frozen=True)
class HubText:
    """`hub:OWNER/NAME@REVISION:CONFIG:SPLIT:COLUMN`: one document a row of a table of the hub.

    CONFIG may be empty. REVISION is a commit of 40 hex digits, so that the texts cannot change.
    """

    address: str = ""
    name: ClassVar[str] = "hub"

    def load(self, source: DataSource) -> tuple[TextItem, ...]:  # noqa: ARG002 - a table of the hub
        """Read the column; ids are `hub/<owner>/<name>/<config>/<split>/<row from 0>`.

        Raises DatasetError for another address, or when the hub is out of reach.
        """
        match = HUB.fullmatch(self.address)
        if match is None:
            message = (
                f"'hub:{self.address}' is not the address of a table. Expected "
                "hub:OWNER/NAME@REVISION:CONFIG:SPLIT:COLUMN, REVISION being a commit of 40 hex "
                "digits and CONFIG empty if there is none."
            )
            raise DatasetError(message)
        repository, revision, config, split, column = match.groups()
        rows = HubTable(repository, revision, config or None, split).rows()
        name = f"hub/{repository}/{config or 'default'}/{split}"
        return items_of((row.get(column) for row in rows), name)


def read_documents(path: Path, *, otherwise: str = "utf-8-sig") -> list[object]:
    """Return the documents of a file, in order; DatasetError when it cannot be read."""
    name = path.name.lower()
    if name.endswith(".jsonl.gz"):
        return [row.get(FIELD) for row in parse_jsonl(_unzipped(path), path)]
    if name.endswith(".jsonl"):
        return [row.get(FIELD) for row in read_jsonl(path)]
    if name.endswith(NO_TEXTS):
        message = (
            f"'{path}' is not read as text. Expected plain text, or .jsonl with one object "
            f'{{"{FIELD}": ...}} a line (also .jsonl.gz).'
        )
        raise DatasetError(message)
    return list(passages(read_text(path, otherwise=otherwise)))


def passages(text: str, characters: int = PASSAGE_CHARACTERS) -> list[str]:
    """Return a text as passages of whole paragraphs; all but the last have `characters` or more."""
    cut: list[str] = []
    for paragraph in filter(None, map(str.strip, BLANK_LINES.split(text))):
        if cut and len(cut[-1]) < characters:
            cut[-1] += f"\n\n{paragraph}"
        else:
            cut.append(paragraph)
    return cut


def items_of(
    documents: Iterable[object], name: str, groups: tuple[str, ...] = ()
) -> tuple[TextItem, ...]:
    """Return one item for each document that is not blank; ids count the blank ones, too.

    Raises DatasetError for a document that is not text, or when all are blank.
    """
    items = []
    for number, text in enumerate(documents):
        if not isinstance(text, str):
            message = f"document {number} of {name} is {text!r}. Expected text in '{FIELD}'."
            raise DatasetError(message)
        if text.strip():
            items.append(TextItem(f"{name}/{number}", text, groups))
    if not items:
        message = f"{name} holds no text. Expected at least one document."
        raise DatasetError(message)
    return tuple(items)


def _unzipped(path: Path) -> str:
    try:
        return decoded(gzip.decompress(path.read_bytes()), path)
    except (OSError, EOFError, zlib.error) as error:
        message = f"'{path}' is not a whole gzip file ({error}). Fetch the original again."
        raise DatasetError(message) from error

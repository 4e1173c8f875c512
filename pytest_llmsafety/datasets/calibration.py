"""The user's calibration texts: a text file, or a pinned table of the hub."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.errors import ConfigurationError, DatasetError
from pytest_llmsafety.paths import user_path
from pytest_llmsafety.types import CalibrationTexts

if TYPE_CHECKING:
    from collections.abc import Iterator

HUB = re.compile(r"hub:(?P<name>[\w.-]+/[\w.-]+)(:(?P<part>[^@]+))?@(?P<revision>[0-9a-f]{40})")
TABLE_FILE = re.compile(r".*\.jsonl?(\.gz)?")
MOST_CHARACTERS = 50_000_000  # enough for 4,000 sequences of 2,048 tokens


def check_calibration(text: str) -> None:
    """Raise ConfigurationError unless `text` is a file or `hub:ORG/NAME[:PART]@REVISION`."""
    if text.startswith("hub:") and not HUB.fullmatch(text):
        message = (
            f"--llmsafety-calibration: cannot read '{text}'. Expected hub:ORG/NAME@REVISION or "
            "hub:ORG/NAME:PART@REVISION with a commit of 40 hex digits; PART is a configuration "
            "or a .json or .jsonl file (.gz too) of the data set."
        )
        raise ConfigurationError(message)
    if not text.startswith("hub:") and not user_path(text).is_file():
        message = (
            f"--llmsafety-calibration: there is no file '{text}'. Expected a file of plain text, "
            "or hub:ORG/NAME@REVISION."
        )
        raise ConfigurationError(message)


def load_calibration(text: str) -> CalibrationTexts:
    """Return the texts that `--llmsafety-calibration` names.

    A file is cut at empty lines. Of a table the column `text` is read, up to 50 million
    characters. Raises ConfigurationError, or DatasetError when nothing can be read.
    """
    check_calibration(text)
    found = HUB.fullmatch(text)
    if not found:
        return CalibrationTexts(tuple(_paragraphs(user_path(text))), Path(text).name)
    part = found["part"] or None
    is_file = bool(part and TABLE_FILE.fullmatch(part))
    table = HubTable(
        found["name"],
        found["revision"],
        config=None if is_file else part,
        files=(part,) if part and is_file else (),
    )
    return CalibrationTexts(tuple(_column(table)), text)


def _paragraphs(path: Path) -> Iterator[str]:
    """Yield the paragraphs of a text file, each with the empty lines after it."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"cannot read the calibration text '{path}': {error}. Expected UTF-8 text."
        raise DatasetError(message) from error
    yield from (part for part in re.split(r"(?<=\n\n)(?!\n)", text) if part.strip())


def _column(table: HubTable) -> Iterator[str]:
    characters = 0
    for row in table.rows():
        if not isinstance(row.get("text"), str):
            message = (
                f"{table} has no column 'text' but {', '.join(islice(row, 8))}. Expected texts to "
                "calibrate with; save them as a file and name that."
            )
            raise DatasetError(message)
        characters += len(row["text"])
        yield row["text"] + "\n\n"
        if characters > MOST_CHARACTERS:
            return

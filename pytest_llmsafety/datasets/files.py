"""The files of a data set below `--llmsafety-data`: find them and read them."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.datasets.rows import DataRow
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.json_files import parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from pytest_llmsafety.datasets.base import DataSource
    from pytest_llmsafety.datasets.hub import HubTable

BYTE_ORDER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""An escape in JSON for half of a character; two of them make a character."""


def find_files(
    folder: Path, patterns: Sequence[str], *, homepage: str, table: HubTable | None = None
) -> tuple[Path, ...]:
    """Return the files of the first pattern that matches any, sorted by path.

    `patterns` are globs relative to `folder`. Hidden files (`._prompts.jsonl` of macOS) and files
    in hidden folders are left out. Raises DatasetError when the folder is missing or nothing
    matches; the message names the patterns, `homepage` and, given a `table`, the hub.
    """
    if not folder.is_dir():
        message = f"--llmsafety-data: '{folder}' is not a folder."
        raise DatasetError(message)
    for pattern in patterns:
        matches = (path for path in folder.glob(pattern) if path.is_file())
        found = tuple(sorted(path for path in matches if not _is_hidden(path, folder)))
        if found:
            return found
    hub = f", or leave --llmsafety-data out to load {table} from the hub" if table else ""
    message = (
        f"no such file under '{folder}': looked for {', '.join(patterns[:6])}. "
        f"Get it from {homepage} and put it there{hub}."
    )
    raise DatasetError(message)


def find_local(
    source: DataSource, patterns: Sequence[str], *, name: str, homepage: str
) -> tuple[Path, ...]:
    """Return files as `find_files`, for a data set without a pinned table of the hub.

    Raises DatasetError without a folder, too.
    """
    if source.folder is None:
        message = (
            f"{name} has no pinned table on the hub. Get it from {homepage} and give its "
            "folder with --llmsafety-data=FOLDER; docs/data.md says which files go where."
        )
        raise DatasetError(message)
    return find_files(source.folder, patterns, homepage=homepage)


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def read_text(path: Path, *, otherwise: str = "utf-8-sig") -> str:
    """Return the file's text, decoded as UTF-8 without a byte order mark, line ends kept.

    `otherwise` is the encoding of files that are not UTF-8. Raises DatasetError for a file in
    neither encoding.
    """
    return decoded(path.read_bytes(), path, otherwise=otherwise)


def decoded(content: bytes, path: Path, *, otherwise: str = "utf-8-sig") -> str:
    """Return the text of bytes that were read from `path`, as `read_text`."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        return content.decode(otherwise)
    except UnicodeDecodeError as error:
        mark = BYTE_ORDER_MARKS.get(content[:2])
        found = f"it is {mark}. Save it as UTF-8" if mark else f"{error}. Fetch the original again"
        message = f"'{path}' is not UTF-8: {found}."
        raise DatasetError(message) from error


def read_json(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """Return the JSON value of a file; objects in a list become rows, which know their places.

    Raises DatasetError when the file is not JSON.
    """
    return placed(_parsed(read_text(path), f"'{path}'"), f"'{path}'")


def placed(value: Any, place: str) -> Any:  # noqa: ANN401 - whatever the file holds
    """Return a list of objects as rows, also one level below: `{"data": [...]}`."""
    if isinstance(value, list):
        return [
            DataRow(one, f"{place} entry {number}") if isinstance(one, dict) else one
            for number, one in enumerate(value, start=1)
        ]
    if isinstance(value, dict):
        lists = {
            key: placed(one, f"{place} {key}") for key, one in value.items() if type(one) is list
        }
        return DataRow({**value, **lists}, place)
    return value


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Return the JSON objects of a file of lines; DatasetError names the line that is not one."""
    return parse_jsonl(read_text(path), path)


def parse_jsonl(text: str, path: Path) -> list[dict[str, Any]]:
    """Return the JSON objects of a text that was read from `path`, as `read_jsonl`."""
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            place = f"'{path}' line {number}"
            row = _parsed(line, place)
            if not isinstance(row, dict):
                message = f"{place} is not a JSON object."
                raise DatasetError(message)
            rows.append(DataRow(row, place))
    return rows


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of a table of comma-separated values with a header, by column name.

    Raises DatasetError when one of `columns` or a field is missing, and for an open quote.
    """
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    rows: list[dict[str, str]] = []
    try:
        for number, row in enumerate(reader, start=1):
            lacking = [name for name in columns if row.get(name) is None]
            if lacking:
                message = (
                    f"'{path}' row {number} has no {', '.join(lacking)}. Expected the columns "
                    f"{', '.join(columns)} between commas, found {', '.join(map(str, row))}. Was "
                    "the file cut off, or saved with another separator? Fetch the original again."
                )
                raise DatasetError(message)
            rows.append(DataRow(row, f"'{path}' row {number}"))
    except csv.Error as error:
        message = (
            f"'{path}' row {len(rows) + 1} (before line {reader.line_num}) is not a row of a "
            f"table: {error}. Is a quote open? Fetch the original again, or correct the row."
        )
        raise DatasetError(message) from error
    return rows


def rows_of(
    source: DataSource,
    places: Sequence[str],
    *,
    table: HubTable,
    homepage: str,
    read: Callable[[Path], Iterable[Mapping[str, Any]]] = read_jsonl,
) -> Iterable[Mapping[str, Any]]:
    """Return the rows of a table of the hub, or of the one file in the folder, read by `read`.

    Raises DatasetError as `find_files`.
    """
    if source.folder is None:
        return table.rows()
    (path,) = find_files(source.folder, places, homepage=homepage, table=table)
    return read(path)


def _parsed(text: str, place: str) -> Any:  # noqa: ANN401 - whatever the file holds
    """Return the value of a JSON text; DatasetError for half a character, too."""
    try:
        value = parse_json(text)
        if HALF.search(text):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        half = error.object[error.start : error.start + 1].encode("unicode_escape").decode("ascii")
        message = (
            f"{place} holds half a character ({half}, a lone surrogate), which no tokenizer reads. "
            "Was a text cut in the middle of an emoji? Fetch the original again, or delete it."
        )
        raise DatasetError(message) from error
    except ValueError as error:
        message = (
            f"{place} is not JSON ({error}). Was the file cut off, or is it a "
            "Git LFS pointer? Fetch the original again."
        )
        raise DatasetError(message) from error
    return value

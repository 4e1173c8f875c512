"""Files of a data set under `--llmsafety-data`: found, read, or an error that helps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from pytest_llmsafety.datasets.base import DataSource
    from pytest_llmsafety.datasets.hub import HubTable


def find_files(
    folder: Path, patterns: Sequence[str], *, homepage: str, table: HubTable | None = None
) -> tuple[Path, ...]:
    """Files that match the first pattern that matches any, sorted by path.

    `patterns` are globs relative to `folder`. Raises DatasetError when the folder is absent or
    nothing matches: the message names the patterns, `homepage` and, where there is a `table`,
    the hub alternative.
    """
    if not folder.is_dir():
        message = f"--llmsafety-data: '{folder}' is not a folder."
        raise DatasetError(message)
    for pattern in patterns:
        found = tuple(sorted(path for path in folder.glob(pattern) if path.is_file()))
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
    """As `find_files`, for a data set that no table of the hub holds at a commit known here.

    Raises DatasetError also without a folder.
    """
    if source.folder is None:
        message = (
            f"{name} is on no hub table that is pinned here. Get it from {homepage} and give its "
            "folder with --llmsafety-data=FOLDER; docs/data.md says which files go where."
        )
        raise DatasetError(message)
    return find_files(source.folder, patterns, homepage=homepage)


def read_text(path: Path) -> str:
    """The file's text as UTF-8, line ends kept, without a byte order mark.

    Raises DatasetError when it is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"'{path}' is not UTF-8: {error}. Expected the original file."
        raise DatasetError(message) from error


def read_json(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """The JSON value of a file. Raises DatasetError when it is not JSON."""
    return _parsed(read_text(path), path, 1)


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """One JSON object a line, blank lines skipped. Raises DatasetError with the line number."""
    return parse_jsonl(read_text(path), path)


def parse_jsonl(text: str, path: Path) -> list[dict[str, Any]]:
    """The rows of a text that was read from `path`; raises as `read_jsonl`."""
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            row = _parsed(line, path, number)
            if not isinstance(row, dict):
                message = f"'{path}' line {number} is not a JSON object."
                raise DatasetError(message)
            rows.append(row)
    return rows


def rows_of(
    source: DataSource,
    places: Sequence[str],
    *,
    table: HubTable,
    homepage: str,
    read: Callable[[Path], Iterable[Mapping[str, Any]]] = read_jsonl,
) -> Iterable[Mapping[str, Any]]:
    """The rows of a table of the hub, or of the one file in a folder; raises as `find_files`."""
    if source.folder is None:
        return table.rows()
    (path,) = find_files(source.folder, places, homepage=homepage, table=table)
    return read(path)


def _parsed(text: str, path: Path, line: int) -> Any:  # noqa: ANN401 - whatever the file holds
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        message = (
            f"'{path}' line {line} is not JSON ({error}). Was the file cut off, or is it a "
            "Git LFS pointer? Fetch the original again."
        )
        raise DatasetError(message) from error

"""Data sets without a table on the hub that could be pinned: read from a folder, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmsafety.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_llmsafety.datasets.base import DataSource


def find_local(
    source: DataSource, patterns: Sequence[str], *, name: str, homepage: str
) -> tuple[Path, ...]:
    """Files that match the first pattern that matches any, sorted by path.

    Raises DatasetError without a folder, or when nothing matches: the message names the
    patterns and `homepage`.
    """
    get = f"Get it from {homepage} and give its folder with --llmsafety-data=FOLDER."
    if source.folder is None:
        message = f"{name} has no pinned table on the hub, so it is read from files alone. {get}"
        raise DatasetError(message)
    if not source.folder.is_dir():
        message = f"--llmsafety-data: '{source.folder}' is not a folder."
        raise DatasetError(message)
    for pattern in patterns:
        found = tuple(sorted(path for path in source.folder.glob(pattern) if path.is_file()))
        if found:
            return found
    message = f"no such file under '{source.folder}': looked for {', '.join(patterns[:6])}. {get}"
    raise DatasetError(message)

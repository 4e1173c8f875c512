"""Files that only their authors' repositories hold: there is no pinned table on the hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmsafety.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_llmsafety.datasets.base import DataSource


def find_original(source: DataSource, places: Sequence[str], *, homepage: str) -> Path:
    """The first of `places`, paths below the source's folder, that is there.

    Raises DatasetError without a folder, for a folder that is absent, and when no place holds
    anything: the message names the places and where to get the original.
    """
    folder = source.folder
    if folder is None:
        message = (
            f"no table on the hub is pinned for this data set. Get it from {homepage} and give "
            "its folder with --llmsafety-data=FOLDER; docs/data.md says which files go where."
        )
        raise DatasetError(message)
    if not folder.is_dir():
        message = f"--llmsafety-data: '{folder}' is not a folder."
        raise DatasetError(message)
    for place in places:
        if (folder / place).exists():
            return folder / place
    message = (
        f"no such file under '{folder}': looked for {', '.join(places)}. Get it from {homepage} "
        "and put it there."
    )
    raise DatasetError(message)

"""Tables of comma-separated values with a header, as their authors publish them."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from pytest_llmsafety.datasets.folder import read_text
from pytest_llmsafety.datasets.rows import Row
from pytest_llmsafety.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows by column name.

    Raises DatasetError when one of `columns` or a field is missing, and for a quote that is open.
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
            rows.append(Row(row, f"'{path}' row {number}"))
    except csv.Error as error:
        message = (
            f"'{path}' row {len(rows) + 1} (before line {reader.line_num}) is not a row of a "
            f"table: {error}. Is a quote open? Fetch the original again, or correct the row."
        )
        raise DatasetError(message) from error
    return rows

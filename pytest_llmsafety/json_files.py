"""Read JSON of others: a text that is deep, huge or never ends raises an error."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

LONGEST_BYTES = 100_000_000


def read_json(path: Path) -> Any:  # noqa: ANN401 - JSON
    """Return the value in a JSON file.

    Raises ValueError for a text that is not JSON, is nested too deeply or longer than
    LONGEST_BYTES, and for a pipe or a device, which may never end; OSError for a file that
    cannot be read.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        message = "it is not a regular file"
        raise ValueError(message)
    if status.st_size > LONGEST_BYTES:
        message = f"it has {status.st_size:,} bytes, more than {LONGEST_BYTES:,}"
        raise ValueError(message)
    return parse_json(path.read_text(encoding="utf-8"))


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401 - JSON
    """Return the value of a JSON text. Raises ValueError for no JSON, or one nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError:
        message = "it is nested too deeply"
        raise ValueError(message) from None

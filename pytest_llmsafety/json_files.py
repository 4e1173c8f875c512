"""JSON that comes with a model or from a server: neither deep nor huge texts hurt the reader."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

LONGEST_BYTES = 100_000_000


def read_json(path: Path, longest_bytes: int = LONGEST_BYTES) -> Any:  # noqa: ANN401 - JSON
    """Return what a JSON file holds.

    Raises ValueError for a text that is not JSON, is nested too deeply or longer than
    `longest_bytes`, and for what is not a regular file (reading a pipe or a device may never
    end); OSError when it cannot be read.
    """
    told = path.stat()
    if not stat.S_ISREG(told.st_mode):
        message = "it is not a regular file"
        raise ValueError(message)
    if told.st_size > longest_bytes:
        message = f"it has {told.st_size:,} bytes, more than {longest_bytes:,}"
        raise ValueError(message)
    return parsed(path.read_text(encoding="utf-8"))


def parsed(text: str | bytes) -> Any:  # noqa: ANN401 - JSON
    """Return what a JSON text holds. Raises ValueError, also for one that is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError:
        message = "it is nested too deeply"
        raise ValueError(message) from None

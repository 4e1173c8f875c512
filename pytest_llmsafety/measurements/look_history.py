"""Count how often the same gate was applied to other draws, across runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_llmsafety.models.digests import digest_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOOKS_FILE = "looks.sqlite"
BUSY_TIMEOUT_S = 30.0
NO_CACHE = (
    "looks are not counted: no cache. It is not known whether this gate was applied before, to "
    "other draws."
)
ORDINALS = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


@dataclass(frozen=True)
class Looks:
    """Counts the looks at each gate in one small file, which several processes may share.

    Nothing is counted if `path` is None, or if the file cannot be read or written.
    """

    path: Path | None

    def count(self, gate: Sequence[object], look: Sequence[object]) -> int:
        """Return the number of different looks at `gate`, this one included (0: not known).

        The same look again, which is a repeated run, is not counted twice.
        """
        if self.path is None:
            return 0
        try:
            return self._counted(digest_json(list(gate)), digest_json(list(look)))
        except (OSError, sqlite3.Error):
            return 0

    def _counted(self, gate: str, look: str) -> int:
        assert self.path is not None  # noqa: S101 - narrows a type
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S)) as connection, connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS look "
                "(gate TEXT, look TEXT, PRIMARY KEY (gate, look)) WITHOUT ROWID"
            )
            connection.execute("INSERT OR IGNORE INTO look VALUES (?, ?)", (gate, look))
            row = connection.execute("SELECT COUNT(*) FROM look WHERE gate = ?", (gate,)).fetchone()
        return int(row[0])


def ordinal(number: int) -> str:
    """Return `third` for 3, and `12th` for a number without a word in ORDINALS."""
    if number < len(ORDINALS):
        return ORDINALS[number]
    last = number % 10 if number % 100 not in {11, 12, 13} else 0
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(last, 'th') }"


def look_note(number: int) -> str:
    """Return the note for a second or further look; empty for the first, or if not counted."""
    if number <= 1:
        return ""
    return (
        f"{ordinal(number)} look at this gate: it was applied before with another seed, limit, "
        "order or error rate, and the stated error rates hold for a single look"
    )

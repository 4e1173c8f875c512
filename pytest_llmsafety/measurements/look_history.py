"""A history of the looks at each gate: how often the same claim was judged on other draws."""

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
    "looks are not counted: no cache. Whether this gate was judged before, on other draws, is not "
    "known."
)
ORDINALS = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


@dataclass(frozen=True)
class Looks:
    """Count the looks at gates in one small file; several processes may share it.

    `path` None counts nothing. A file that cannot be read or written counts nothing, either: a
    verdict does not depend on it.
    """

    path: Path | None

    def count(self, gate: Sequence[object], look: Sequence[object]) -> int:
        """Return how many different looks at `gate` there were, this one included; 0: not known.

        A look that was there before, which is the same run again, is not counted twice.
        """
        if self.path is None:
            return 0
        try:
            return self._counted(digest_json(list(gate)), digest_json(list(look)))
        except (OSError, sqlite3.Error):
            return 0

    def _counted(self, gate: str, look: str) -> int:
        """Keep the look, and count those at its gate."""
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
    """Return `third` for 3, and `12th` where there is no word for it here."""
    if number < len(ORDINALS):
        return ORDINALS[number]
    last = number % 10 if number % 100 not in {11, 12, 13} else 0
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(last, 'th') }"


def look_note(number: int) -> str:
    """Return what a verdict says of further looks; empty for the first one, or none counted."""
    if number <= 1:
        return ""
    return (
        f"{ordinal(number)} look at this gate: it was judged before on another seed, limit, order "
        "or error rate, and the stated error rates are those of a single look"
    )

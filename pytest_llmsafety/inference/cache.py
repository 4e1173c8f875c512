"""A content-addressed store of answers in one SQLite file, safe to kill and to share."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmsafety.errors import CacheError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SCHEMA = 1
BUSY_TIMEOUT_S = 60.0
KEYS_PER_QUERY = 500


class Cache:
    """A store of texts by key in the file `path`; without a path, in memory for this process.

    Several processes may use one file at once (WAL), on a local disk. What `put_many` has stored
    when it returns survives a kill of the process; what it had not finished is absent as a whole.
    Each row has a checksum: a damaged row raises CacheError and never counts as absent.
    """

    def __init__(self, path: Path | str | None) -> None:
        """Open or create the store. Raises CacheError for any other file."""
        self.path = None if path is None else Path(path)
        self._lock = threading.Lock()
        with self._explained():
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self.path or ":memory:",
                timeout=BUSY_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,
            )
            self._prepare()

    def get_many(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the stored value of each key that has one. Raises CacheError if one is damaged."""
        wanted = list(dict.fromkeys(keys))
        found: dict[str, str] = {}
        for start in range(0, len(wanted), KEYS_PER_QUERY):
            part = wanted[start : start + KEYS_PER_QUERY]
            marks = ",".join("?" * len(part))
            query = f"SELECT key, value, checksum FROM entry WHERE key IN ({marks})"  # noqa: S608
            with self._explained(), self._lock:
                rows = self._connection.execute(query, part).fetchall()
            for key, value, checksum in rows:
                if not isinstance(value, str) or checksum != _checksum(key, value):
                    raise self._damaged_entry(key)
                found[key] = value
        return found

    def put_many(self, values: Mapping[str, str]) -> None:
        """Store all of `values` in one transaction; an existing key gets the new value."""
        rows = [(key, value, _checksum(key, value)) for key, value in values.items()]
        if not rows:
            return
        with self._explained(), self._lock, self._transaction():
            self._connection.executemany(
                "INSERT OR REPLACE INTO entry (key, value, checksum) VALUES (?, ?, ?)", rows
            )

    @contextmanager
    def turn(self, key: str) -> Iterator[None]:
        """Keep other processes from the same block for the same `key`; a kill ends the turn.

        One byte of one file is locked, so that keys leave no files behind. Where the system has
        no such locks (Windows, some network disks), processes compute the same thing twice.
        """
        try:
            import fcntl
        except ImportError:
            fcntl = None  # type: ignore[assignment]
        if self.path is None or fcntl is None:
            yield
            return
        with self.path.with_suffix(".turns").open("ab") as file:
            with suppress(OSError):
                fcntl.lockf(file, fcntl.LOCK_EX, 1, int(_checksum(key, "")[:15], 16))
            yield

    def drop(self, key: str) -> None:
        """Forget one entry, damaged or not; it is computed again when next asked for."""
        with self._explained(), self._lock:
            self._connection.execute("DELETE FROM entry WHERE key = ?", (key,))

    def __len__(self) -> int:
        """Return the number of stored entries."""
        with self._explained(), self._lock:
            (count,) = self._connection.execute("SELECT COUNT(*) FROM entry").fetchone()
        return int(count)

    def close(self) -> None:
        """Close the file; what was stored is on disk."""
        self._connection.close()

    def _prepare(self) -> None:
        """Set the file up for sharing, and create the table where it is new."""
        execute = self._connection.execute
        execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
        if self.path is not None:
            self._share()
        (version,) = execute("PRAGMA user_version").fetchone()
        if version == SCHEMA:
            return
        with self._transaction():
            (version,) = execute("PRAGMA user_version").fetchone()
            if version not in (0, SCHEMA):
                message = (
                    f"cache file '{self.path}' has layout {version}, this version reads layout "
                    f"{SCHEMA}. Delete the file or name another one."
                )
                raise CacheError(message)
            execute(
                "CREATE TABLE IF NOT EXISTS entry "
                "(key TEXT PRIMARY KEY, value TEXT NOT NULL, checksum TEXT NOT NULL) WITHOUT ROWID"
            )
            execute(f"PRAGMA user_version = {SCHEMA}")

    def _share(self) -> None:
        """Switch to WAL; SQLite does not wait by itself where another process does the same."""
        deadline = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                break
            except (OSError, sqlite3.OperationalError) as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        self._connection.execute("PRAGMA synchronous = NORMAL")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Run all statements of the block, or none of them."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn SQLite's errors into CacheError: which file, and what to do."""
        try:
            yield
        except (OSError, sqlite3.OperationalError) as error:
            message = (
                f"cannot use cache file '{self.path}': {error}. Expected a writable file on a "
                "local disk with free space. Name another file, or switch the cache off."
            )
            raise CacheError(message) from error
        except sqlite3.DatabaseError as error:
            message = (
                f"cache file '{self.path}' is damaged: {error}. Delete it (with its -wal and "
                "-shm files) and run again; only computed answers are lost."
            )
            raise CacheError(message) from error

    def _damaged_entry(self, key: str) -> CacheError:
        """Return the error for a row whose checksum does not fit."""
        message = (
            f"cache file '{self.path}': entry '{key}' is damaged (its checksum does not fit). "
            'Drop it with: python -c "from pytest_llmsafety.inference.cache import Cache; '
            f"""Cache('{self.path}').drop('{key}')" and run again, or delete the file."""
        )
        return CacheError(message)


def _checksum(key: str, value: str) -> str:
    """Return 16 hex digits over key and value."""
    text = f"{len(key)}:{key}{value}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

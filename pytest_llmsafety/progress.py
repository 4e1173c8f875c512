"""Show how far a run is: a bar on a terminal, a line a minute in a log."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, TextIO

from pytest_llmsafety.escapes import escaped, plain

if TYPE_CHECKING:
    from collections.abc import Iterator


class Progress:
    """Show nothing; the base of the classes that show how far a run is."""

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Progress]:  # noqa: ARG002 - the others'
        """Show `total` requests named `what` while the block runs."""
        yield self

    def stage(self, what: str, done: int, total: int) -> None:
        """Show how much of a longer work is done, such as a compression block by block."""

    def advance(self, requests: int) -> None:
        """Show that so many more requests are finished."""

    def note(self, text: str) -> None:
        """Show what a user should know now."""

    def close(self) -> None:
        """Close the file on which progress is shown."""


class Bar(Progress):
    """Show the work, its progress and the time left on a terminal."""

    def __init__(self, file: TextIO) -> None:
        """Show on `file`: pytest captures sys.stderr."""
        self._file = file
        self._bar: Any = None
        self._stage: Any = None

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Progress]:
        """Show a bar while the block runs."""
        from tqdm import tqdm  # type: ignore[import-untyped]

        self._bar = tqdm(
            total=total,
            desc=escaped(what),
            unit="req",
            leave=False,
            dynamic_ncols=True,
            file=self._file,
        )
        try:
            yield self
        finally:
            self._bar.close()
            self._bar = None

    def stage(self, what: str, done: int, total: int) -> None:
        """Show a bar until all is done."""
        from tqdm import tqdm

        if self._stage is None:
            self._stage = tqdm(total=total, leave=False, dynamic_ncols=True, file=self._file)
        self._stage.set_description(escaped(what), refresh=False)
        self._stage.update(done - self._stage.n)
        if done >= total:
            self._stage.close()
            self._stage = None

    def advance(self, requests: int) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(requests)

    def note(self, text: str) -> None:
        """Write a line above the bar."""
        from tqdm import tqdm

        tqdm.write(plain(text), file=self._file)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Log(Progress):
    """Write a line a minute into a log; the first after a minute."""

    def __init__(self, file: TextIO, *, who: str = "", seconds: float = 60.0) -> None:
        """Start to count; there are `seconds` between lines. `who` names one process of several."""
        self._file, self._seconds, self._last = file, seconds, monotonic()
        self._start = f"llmsafety {who}".rstrip()
        self._what, self._done, self._total = "", 0, 0

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Progress]:
        """Count requests while the block runs."""
        self._what, self._done, self._total = what, 0, total
        yield self

    def stage(self, what: str, done: int, total: int) -> None:
        """Write a line if it is time."""
        self._write(f"{what}: {done:,} of {total:,}")

    def advance(self, requests: int) -> None:
        """Write the number of finished requests if it is time."""
        self._done += requests
        self._write(f"{self._what}: {self._done:,} of {self._total:,} requests")

    def note(self, text: str) -> None:
        """Write a line at once."""
        self._file.write(f"\n{self._start}: {plain(text)}\n")  # below the dots of pytest
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, text: str) -> None:
        now = monotonic()
        if now - self._last >= self._seconds:
            self._last = now
            self.note(text)


def on_stderr(who: str = "") -> Progress:
    """Return progress on the current stderr, which pytest captures later.

    Without a file behind stderr nothing is shown. `who` names one process of several, which writes
    lines and draws no bar.
    """
    try:
        file = os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8")
    except OSError:
        return Progress()
    watched = sys.stderr.isatty() and not os.environ.get("CI") and not who
    return Bar(file) if watched else Log(file, who=who)

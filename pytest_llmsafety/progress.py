"""A progress bar on a terminal, and nothing anywhere else."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator


class Progress:
    """Shows what runs, how far it is and the time left, on `file`; without one, nothing."""

    def __init__(self, file: TextIO | None = None) -> None:
        """Show on `file`, a terminal: pytest captures sys.stderr."""
        self._file = file
        self._bar: Any = None
        self._stage: Any = None

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Progress]:
        """Show a bar of `total` requests named `what` while the block runs."""
        if self._file is None:
            yield self
            return
        from tqdm import tqdm  # type: ignore[import-untyped]

        self._bar = tqdm(
            total=total, desc=what, unit="req", leave=False, dynamic_ncols=True, file=self._file
        )
        try:
            yield self
        finally:
            self._bar.close()
            self._bar = None

    def stage(self, what: str, done: int, total: int) -> None:
        """Show how much of a longer work is done, such as a compression block by block."""
        if self._file is None:
            return
        from tqdm import tqdm

        if self._stage is None:
            self._stage = tqdm(total=total, leave=False, dynamic_ncols=True, file=self._file)
        self._stage.set_description(what, refresh=False)
        self._stage.update(done - self._stage.n)
        if done >= total:
            self._stage.close()
            self._stage = None

    def advance(self, requests: int) -> None:
        """Move the bar by that many finished requests."""
        if self._bar is not None:
            self._bar.update(requests)

    def note(self, text: str) -> None:
        """Write a line above the bar, without breaking it."""
        if self._bar is not None:
            self._bar.write(text, file=self._file)

"""Make SIGTERM end a run as ^C does, and ignore both while reports are written."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import suppress
from typing import Any

import pytest

WRITING = "\nllmsafety: the reports are being written; the signal is ignored until they are.\n"


class Signals:
    """Handles ^C and SIGTERM in the main process; a worker of xdist leaves both as they are.

    A handler of SIGTERM that is there already stays.
    """

    def __init__(self, config: pytest.Config) -> None:
        """Start to handle SIGTERM."""
        self.interrupted = self.terminated = False
        self._before: dict[signal.Signals, Any] = {}
        is_worker = hasattr(config, "workerinput")
        self._can = not is_worker and threading.current_thread() is threading.main_thread()
        self._handles = self._can and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        if self._handles:
            signal.signal(signal.SIGTERM, self._interrupt)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Ignore later signals: the reports are written next."""
        self.interrupted = not isinstance(excinfo.value, pytest.Session.Interrupted)  # its own
        self.hold()

    def pytest_unconfigure(self) -> None:
        """Restore the handlers of before."""
        self.let_go()
        if self._handles:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def hold(self) -> None:
        """Ignore ^C and SIGTERM, and say so, until `let_go`."""
        if self._can and not self._before:
            held = (signal.SIGINT, *((signal.SIGTERM,) if self._handles else ()))
            known = [number for number in held if signal.getsignal(number) is not None]
            self._before = {number: signal.signal(number, _ignore) for number in known}

    def let_go(self) -> None:
        """Handle signals as before `hold`."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _interrupt(self, *_: object) -> None:
        """End the run as ^C does: reports are written, and the exit status is 2."""
        self.terminated = True
        self.hold()
        raise KeyboardInterrupt(signal.SIGTERM.name)


def _ignore(*_: object) -> None:
    with suppress(OSError, RuntimeError):  # RuntimeError: a write was interrupted by this one
        sys.stderr.write(WRITING)

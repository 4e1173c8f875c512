"""A run without --model: safety tests are skipped, and one line says so."""

from __future__ import annotations

import pytest

from pytest_llmsafety.escapes import plain
from pytest_llmsafety.plugin.collection import REASON, is_safety_test
from pytest_llmsafety.plugin.flags import what_is_missing


class Skipping:
    """Registered for one session."""

    def __init__(self, config: pytest.Config) -> None:
        """Count from zero."""
        self.config = config
        self.n_skipped = 0

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Skip the safety tests."""
        for item in filter(is_safety_test, items):
            item.add_marker(pytest.mark.skip(reason=REASON))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count them here, where the controller of xdist hears of them too."""
        self.n_skipped += report.skipped and REASON in str(report.longrepr)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how to run them."""
        if self.n_skipped:
            tests = "1 safety test" if self.n_skipped == 1 else f"{self.n_skipped} safety tests"
            why = what_is_missing(self.config)
            terminalreporter.write_line(plain(f"llmsafety: {tests} skipped, {why}"))

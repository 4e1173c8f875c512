"""Skip the safety tests of a run without --model, and print one line that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_llmsafety.config.options import OFF, TABLE
from pytest_llmsafety.errors import number_of
from pytest_llmsafety.escapes import plain
from pytest_llmsafety.plugin.collection import REASON, is_safety_test
from pytest_llmsafety.plugin.flags import project
from pytest_llmsafety.plugin.unmeasured import NoModel

if TYPE_CHECKING:
    from collections.abc import Generator

MARKED = pytest.StashKey[bool]()
"""Whether a test is skipped only because there is no model."""
SKIPPED = "llmsafety_without_model"


class WithoutModel:
    """The hooks of a session without a model."""

    def __init__(self, config: pytest.Config) -> None:
        """Start to count skipped tests."""
        self.config = config
        self.n_skipped = 0

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Skip the safety tests; a test with a skip mark of its own is not counted."""
        for item in filter(is_safety_test, items):
            item.stash[MARKED] = next(item.iter_markers("skip"), None) is None
            item.add_marker(pytest.mark.skip(reason=REASON))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Mark the report of a test that was skipped because there is no model."""
        report = yield
        error = call.excinfo and call.excinfo.value
        marked = item.stash.get(MARKED, False) or isinstance(error, NoModel)
        setattr(report, SKIPPED, report.skipped and marked)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count skipped tests, also those of workers of xdist."""
        self.n_skipped += getattr(report, SKIPPED, False)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print how to run them."""
        if self.n_skipped:
            tests = number_of(self.n_skipped, "safety test")
            why = _what_is_missing(self.config)
            terminalreporter.write_line(plain(f"llmsafety: {tests} skipped, {why}"))


def _what_is_missing(config: pytest.Config) -> str:
    """Why a run has no pair of models, and the command that has one, in flags that are ours."""
    free = object()
    owned = any(config.getoption(f"--{name}", free) is not free for name in ("model", "compress"))
    prefix = "--llmsafety-" if owned else "--"
    stated = project(config)
    if stated.get("model", OFF) != OFF and "compress" not in stated:
        why = f"{TABLE} of pyproject.toml names a model and no compression"
        flags = f"{prefix}compress=int4"
    elif "compress" in stated:
        why = f"{TABLE} of pyproject.toml names a compression and no model"
        flags = f"{prefix}model=phantom"
    else:
        why, flags = "no model was given", f"{prefix}model=phantom {prefix}compress=int4"
    return f"{why}. To run them: pytest {flags}"

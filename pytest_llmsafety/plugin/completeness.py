"""Find the safety tests of a run that did not run, and why."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmsafety.plugin.collection import compression_in, is_safety_test
from pytest_llmsafety.plugin.flags import looks_around
from pytest_llmsafety.plugin.internals import skipped_files_by_last_failed
from pytest_llmsafety.reports.gaps import Gap

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from pytest_llmsafety.plugin.signals import Signals
    from pytest_llmsafety.reports.run import SafetyTest
    from pytest_llmsafety.session.results import SafetySession

SHARED = "llmsafety_gaps"
OURS = re.compile(r"\b(?:pytest_llmsafety|measure|model_pair|ask_both)\b")
"""Names in the source of a file with safety tests."""


class Completeness:
    """The hooks that find gaps in a session with a model."""

    def __init__(self, config: pytest.Config, session: SafetySession, signals: Signals) -> None:
        """Start without a test."""
        self.config = config
        self.signals = signals
        self.session = session
        self._collected: list[pytest.Item] = []
        self._selected: dict[str, None] = {}
        self._gaps: dict[str, dict[str, None]] = {
            "deselected": {},
            "uncollected": {},
            "skipped": {},
        }

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Remember every safety test before other plugins change the list."""
        if is_safety_test(item):
            self._collected.append(item)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember what could not be collected."""
        if report.failed:
            self._gaps["uncollected"][report.nodeid or "."] = None

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Remember a file that skips itself as a whole, where its source names our fixtures."""
        report = yield
        if report.skipped and isinstance(collector, pytest.File):
            with suppress(OSError):
                if OURS.search(collector.path.read_text("utf-8", errors="replace")):
                    self._gaps["skipped"][report.nodeid] = None
        return report

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Compare the tests that will run with those that were collected."""
        kept = set(map(id, session.items))
        for item in self._collected:
            known = self._selected if id(item) in kept else self._gaps["deselected"]
            known[item.nodeid] = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Send what did not run to the controller, or give it to the session."""
        self.signals.hold()
        output: dict[str, Any] | None = getattr(self.config, "workeroutput", None)
        if output is not None:
            output[SHARED] = {code: list(names) for code, names in self._gaps.items()}
        elif not (looks_around(self.config) or self.session.options.plan):
            signalled = "terminated" if self.signals.terminated else "interrupted"
            stopped = signalled if self.signals.interrupted else "stopped"
            cut = session.shouldfail or session.shouldstop
            self.session.gaps = self._found("stopped" if cut else stopped)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Remember the tests that the workers will run."""
        specs = self.session.options.compressions
        self._selected.update(dict.fromkeys(n for n in ids if compression_in(n, specs)))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:  # noqa: ANN401 - a WorkerController of xdist
        """Add what a worker did not collect or run."""
        missing: dict[str, Iterable[str]] = getattr(node, "workeroutput", {}).get(SHARED, {})
        for code, names in missing.items():
            self._gaps[code].update(dict.fromkeys(names))

    def _found(self, stopped: str) -> tuple[Gap, ...]:
        """Every gap of the run; `stopped` is the reason for selected tests without an outcome."""
        tests = self.session.tests
        missing = [name for name in self._selected if name not in tests]
        skipped = [*self._gaps["skipped"], *_with("skipped", tests.values())]
        rows: list[tuple[str, Iterable[str]]] = [
            *{**self._gaps, stopped: missing, "skipped": skipped}.items(),
            ("crashed", _with("crashed", tests.values())),
        ]
        gaps = [gap for code, names in rows if (gap := Gap(code, tuple(names))).tests]
        gaps += [Gap("last-failed")] if skipped_files_by_last_failed(self.config) else []
        gaps += [Gap(stopped)] if stopped != "stopped" and not self._selected else []
        return tuple(gaps)


def _with(code: str, tests: Iterable[SafetyTest]) -> list[str]:
    return [test.nodeid for test in tests if test.gap == code and not test.verdicts]

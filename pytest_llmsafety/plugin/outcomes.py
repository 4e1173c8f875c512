"""Turn verdicts into pytest's outcomes, exit status and summary."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmsafety.errors import (
    LlmSafetyError,
    SafetyAssertionError,
    SafetyFailure,
    SafetyInconclusive,
)
from pytest_llmsafety.escapes import plain
from pytest_llmsafety.plugin.collection import (
    COMPRESSION,
    compression_in,
    is_safety_test,
    names_paths,
)
from pytest_llmsafety.plugin.flags import looks_around
from pytest_llmsafety.plugin.marker import override
from pytest_llmsafety.plugin.unmeasured import NoCounterpart, NotAParameterError
from pytest_llmsafety.plugin.verdict_recorder import (
    HARMLESS,
    IN_CALL,
    PLANS,
    RECORDER,
    VERDICTS,
    expects_verdict,
    recorder_of,
    tolerated,
)
from pytest_llmsafety.redaction import without_access
from pytest_llmsafety.session.results import NOTHING_RAN, OUTCOME_OF_POLICY

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from pytest_llmsafety.assertions.power_plan import Plan
    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.plugin.signals import Signals
    from pytest_llmsafety.reports.run import SafetyTest
    from pytest_llmsafety.session.results import SafetySession

UNDECIDED, GAP, STRAYS = "llmsafety_undecided", "llmsafety_gap", "llmsafety_strays"
NOTHING = (
    f"llmsafety: a model was given, and no safety test ran (exit status {NOTHING_RAN}). Name tests "
    "that use `measure`, or none to run the packaged suites."
)
NEW_LINE = "\n"
MARK = "INCONCLUSIVE: "
"""Begins the text of an undecided test for JUnit and others that only know failures."""


class Outcomes:
    """The hooks that make outcomes of verdicts in a session with a model.

    Workers of xdist send what the controller needs as attributes of reports: verdicts and plans
    as texts, and `llmsafety_undecided`, which every report of a safety test has.
    """

    def __init__(self, config: pytest.Config, session: SafetySession, signals: Signals) -> None:
        """Start without a failed test or a verdict."""
        self.config = config
        self.session = session
        self.signals = signals
        self.is_worker = hasattr(config, "workerinput")
        self._failed: list[pytest.TestReport] = []
        self._item: pytest.Item | None = None
        self._nothing = False
        self._strays: list[Verdict] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Record every verdict, wherever and whenever it is made."""
        if session.config.option.collectonly or not any(map(is_safety_test, session.items)):
            return (yield)
        from pytest_llmsafety.assertions.gate import observe

        with observe(self._record, tolerate=tolerated(self.session.options)):
            return (yield)

    def _record(self, found: Verdict | Plan) -> None:
        """Give a verdict to the test that runs; one made outside of any test is kept apart."""
        from pytest_llmsafety.assertions.power_plan import Plan

        if self._item is not None:
            recorder_of(self._item, self.session.options).record(found)
        elif not isinstance(found, Plan):
            self._strays.append(found)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Remember which test runs."""
        self._item = item
        try:
            return (yield)
        finally:
            self._item = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None]:
        """Apply the verdicts of fixtures."""
        if is_safety_test(item):
            recorder_of(item, self.session.options).begin()
        yield from _deciding(item)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        """Apply the verdicts of the test, however it ended."""
        item.stash[IN_CALL] = True
        yield from _deciding(item)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None]:
        """Apply the verdicts of the teardown; a test without a verdict does not pass."""
        item.stash[IN_CALL] = False
        yield from _deciding(item)
        if RECORDER in item.stash:
            item.stash[RECORDER].require_verdict()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Show a verdict or one of our errors as its message, without a traceback."""
        report = yield
        recorder = item.stash.get(RECORDER, None)
        error = call.excinfo.value if call.excinfo else None
        if (
            recorder is None
            and not is_safety_test(item)
            and not isinstance(error, NotAParameterError)
        ):
            return report
        if isinstance(error, SafetyAssertionError) and not expects_verdict(item):
            vars(report).pop("wasxfail", None)
            report.outcome = "failed"
        if recorder is not None:
            recorder.passed = report.passed if report.when == "call" else recorder.passed
            if report.when == "call" or not report.passed or recorder.has_unreported:
                vars(report).update(recorder.texts())
        undecided = report.failed and isinstance(error, SafetyInconclusive)
        vars(report)[UNDECIDED] = undecided
        vars(report)[GAP] = _gap(item, error, report)
        vars(report)["llmsafety_by_verdict"] = isinstance(error, SafetyFailure)
        if undecided:
            report.longrepr = plain(f"{MARK}{error}")
        elif report.outcome != "passed" and isinstance(error, SafetyAssertionError):
            report.longrepr = plain(str(error))
        elif report.outcome != "passed" and isinstance(error, LlmSafetyError):
            report.longrepr = plain(without_access(f"{type(error).__name__}: {error}"))
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.TestReport | pytest.CollectReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Give INCONCLUSIVE a category, a letter and a word of its own."""
        if getattr(report, UNDECIDED, False):
            return "inconclusive", "I", ("INCONCLUSIVE", {"yellow": True})
        return None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the result of a safety test, also on the controller of xdist."""
        if report.failed:
            self._failed.append(report)
        is_result = report.when == "call" or not report.passed or hasattr(report, VERDICTS)
        if self.is_worker or not is_result or not hasattr(report, UNDECIDED):
            return
        from pytest_llmsafety.reports.run import SafetyTest
        from pytest_llmsafety.reports.serialization import decode

        status = self.config.hook.pytest_report_teststatus(report=report, config=self.config)
        category = status[0] if status else report.outcome  # none without pytest's terminal
        self.session.record(
            SafetyTest(
                report.nodeid,
                category,
                _message(report),
                tuple(map(decode, getattr(report, VERDICTS, ()))),
                by_verdict=getattr(report, "llmsafety_by_verdict", False),
                gap=getattr(report, GAP, ""),
                compression=compression_in(report.nodeid, self.session.options.compressions),
            )
        )
        self.session.plan(report.nodeid, getattr(report, PLANS, ()))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Set the exit status, write the reports, free the models."""
        if self.is_worker:
            from pytest_llmsafety.reports.serialization import encode

            output: dict[str, Any] = vars(self.config)["workeroutput"]
            output[STRAYS] = [*map(encode, self._strays)]
        turned = {} if self.is_worker else self.session.correct_family()
        self._restate(turned)
        excused = len(turned) if self.session.options.inconclusive != "fail" else 0
        undecided = sum(getattr(report, UNDECIDED, False) for report in self._failed)
        n_failed = session.testsfailed - excused - undecided
        status = self.session.exit_status(int(exitstatus), n_failed, n_undecided=undecided)
        status = self.session.add_strays(self._strays, status)
        self._nothing = status == 0 and self._ran_nothing()
        status = NOTHING_RAN if self._nothing else status
        cut = session.shouldfail or session.shouldstop
        session.exitstatus = self.session.finish(status, cut=str(cut or ""))
        self.signals.let_go()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:  # noqa: ANN401 - a WorkerController of xdist
        """Add the verdicts that a worker made outside of any test."""
        strays = getattr(node, "workeroutput", {}).get(STRAYS, ())
        if strays:
            from pytest_llmsafety.reports.serialization import decode

            self._strays += map(decode, strays)

    def _ran_nothing(self) -> bool:
        """Whether no safety test ran, and the user did not name other tests."""
        option = self.config.option
        if self.is_worker or looks_around(self.config) or self.session.options.plan:
            return False
        named = names_paths(self.config) or option.keyword or option.markexpr
        if named and option.llmsafety_model is None:
            return False  # the project states a model, and the user runs some other tests
        tests = self.session.tests.values()
        return all(test.gap == "skipped" and not test.verdicts for test in tests)

    def _restate(self, turned: Mapping[str, str]) -> None:
        """Change the reports of tests whose FAIL does not hold in the session's family."""
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        stats: dict[str, list[pytest.TestReport]] = reporter.stats if reporter else {}
        category = OUTCOME_OF_POLICY.get(self.session.options.inconclusive, "inconclusive")
        for report in [report for report in self._failed if report.nodeid in turned]:
            text = turned[report.nodeid]
            place = (report.location[0], report.location[1] or 0)
            report.longrepr = (*place, text) if category == "skipped" else text
            vars(report)[UNDECIDED] = category == "inconclusive"
            if report in stats.get("failed", []):
                stats["failed"].remove(report)
                stats.setdefault(category, []).append(report)
        if not stats.get("failed", True):
            del stats["failed"]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show undecided tests in full, as pytest does with failures, then the table."""
        if self._nothing:
            terminalreporter.write_line(NOTHING)
        undecided = self.session.inconclusive()
        if undecided and self.config.option.tbstyle != "no":
            terminalreporter.section("INCONCLUSIVE", yellow=True)
            for test in undecided:
                terminalreporter.write_sep("_", test.nodeid.partition("::")[2])
                terminalreporter.write_line(plain(test.message))
        lines = self.session.summary(
            self.config.get_terminal_writer().fullwidth, verbose=self.config.option.verbose > 0
        )
        if lines:
            terminalreporter.section(
                "safety plan" if self.session.options.plan else "safety verdicts"
            )
        for line in lines:
            terminalreporter.write_line(plain(line))
        if undecided and terminalreporter.hasopt("f"):
            terminalreporter.write_line("")
            for test in undecided:
                terminalreporter.write_line(plain(self._one_line(test)))

    def _one_line(self, test: SafetyTest) -> str:
        """The line of an undecided test in pytest's short summary."""
        text = f"INCONCLUSIVE {test.nodeid} - {test.message.partition(NEW_LINE)[0]}"
        width = self.config.get_terminal_writer().fullwidth
        return text if "CI" in os.environ or len(text) <= width else f"{text[: width - 3]}..."


def _deciding(item: pytest.Item) -> Generator[None]:
    """Let the verdicts of a phase of a test decide it, unless it ended with something worse."""
    try:
        yield
    except (Exception, *HARMLESS) as error:
        recorder = item.stash.get(RECORDER, None)
        in_call = item.stash.get(IN_CALL, False)
        if not (in_call and recorder is not None and recorder.excuses(error)):
            if recorder is not None:
                recorder.decide(error)
            raise
    if RECORDER in item.stash:
        item.stash[RECORDER].decide()


def _gap(item: pytest.Item, error: BaseException | None, report: pytest.TestReport) -> str:
    """The code of the gap that a test leaves; empty where it ran or is not for this pair."""
    if not report.skipped or isinstance(error, NoCounterpart):
        return ""
    spec = getattr(getattr(item, "callspec", None), "params", {}).get(COMPRESSION)
    return "" if spec and not override(item).includes(spec) else "skipped"


def _message(report: pytest.TestReport) -> str:
    """Why a test did not pass: the reason of a skip, our own message, or the error's line."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash else report.longrepr or "").removeprefix(MARK)

"""The values that a report shows: the safety tests of a run, and their verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pytest_llmsafety.assertions.power_plan import Plan
    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.inference.baseline_file import Row
    from pytest_llmsafety.reports.gaps import Gap


@dataclass(frozen=True)
class SafetyTest:
    """One safety test after it ran.

    `outcome` is pytest's word (passed, failed, skipped, xfailed, xpassed), `error` where the
    test broke down, or `inconclusive`. `message` says why it did not pass, and `by_verdict` whether
    a FAIL is the only reason. `compression` is empty where the test's id shows none. `gap` is a
    code of `gaps.WHY`, empty where the test ran.
    """

    nodeid: str
    outcome: str
    message: str = ""
    verdicts: tuple[Verdict, ...] = ()
    by_verdict: bool = False
    compression: str = ""
    gap: str = ""


@dataclass(frozen=True)
class Since:
    """How a run compares with the baseline `file`, whose `digest` is empty where there was none.

    `changed` holds (before, now) where the outcome differs. `new` and `gone` hold verdicts that
    only one of the two has. `same` counts all other verdicts, and `unlike` those of them with other
    data, another scorer or another number of items. `not_in_baseline` counts answers of the dense
    model that the run needed and the baseline lacked. `written` is the digest of the baseline that
    this run wrote, and `problem` says why it wrote none.
    """

    file: str
    digest: str = ""
    changed: tuple[tuple[Row, Row], ...] = ()
    new: tuple[Row, ...] = ()
    gone: tuple[Row, ...] = ()
    same: int = 0
    unlike: int = 0
    not_in_baseline: int = 0
    written: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Run:
    """A finished run; `settings` and `versions` are (name, text) pairs.

    `plans` is not empty for a run that only planned. `since` compares it with its baseline.
    `command` started it, it `ended` at this time (UTC, ISO 8601), and `machine` describes where.
    `models` holds (name, digest of its files). `unused_margins` holds the margins that no assertion
    used, as NAME=VALUE.
    """

    tests: tuple[SafetyTest, ...]
    exit_status: int
    settings: tuple[tuple[str, str], ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    plans: tuple[Plan, ...] = ()
    since: Since | None = None
    command: str = ""
    ended: str = ""
    machine: tuple[tuple[str, str], ...] = ()
    models: tuple[tuple[str, str], ...] = ()
    unused_margins: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Every verdict, in the order of the tests."""
        return tuple(verdict for test in self.tests for verdict in test.verdicts)

    @property
    def undecided(self) -> tuple[SafetyTest, ...]:
        """The tests without any verdict: broken, skipped or without an assertion."""
        return tuple(test for test in self.tests if not test.verdicts)

    @property
    def failed_otherwise(self) -> tuple[SafetyTest, ...]:
        """The tests that failed although none of their verdicts is FAIL: by their own assertion."""
        return tuple(
            test
            for test in self.tests
            if test.verdicts
            and test.outcome in ("failed", "error")
            and not any(verdict.outcome == "FAIL" for verdict in test.verdicts)
        )


class Report(Protocol):
    r"""One file in the folder of --llmsafety-report.

    A whole report, registered as an entry point of the group `pytest_llmsafety.reports`:

        >>> class Lines:
        ...     file_name = "lines.txt"
        ...     def render(self, run):
        ...         return "\n".join(f"{test.nodeid}: {test.outcome}" for test in run.tests)
        >>> Lines().render(Run((SafetyTest("test_a.py::test_a", "passed"),), exit_status=0))
        'test_a.py::test_a: passed'
    """

    file_name: str

    def render(self, run: Run) -> str:
        """Return the text of the file, with texts of models and data sets escaped."""

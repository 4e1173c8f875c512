"""The results of a session: what each test came to, and the reports about it."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from functools import cached_property
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.escapes import plain
from pytest_llmsafety.libraries import version
from pytest_llmsafety.paths import as_given
from pytest_llmsafety.session.baseline_update import BaselineUpdate, share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_llmsafety.assertions.power_plan import Plan
    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.config.options import Options
    from pytest_llmsafety.progress import Progress
    from pytest_llmsafety.reports.gaps import Gap
    from pytest_llmsafety.reports.run import Run, SafetyTest
    from pytest_llmsafety.session.resources import Resources

OUTCOME_OF_POLICY = {"skip": "skipped", "pass": "passed"}
BADNESS = {"error": 3, "failed": 3, "inconclusive": 2, "passed": 1, "xpassed": 1}
"""Which of two outcomes of a test its report shows; none for one that was skipped or run again."""
PASSED, TESTS_FAILED, INTERRUPTED, USAGE_ERROR, UNDECIDED = 0, 1, 2, 4, 6
NOTHING_RAN = 7
PACKAGES = (
    "pytest-llmsafety", "pytest", "torch", "transformers", "tokenizers", "numpy", "scipy",
    "accelerate", "datasets", "optimum-quanto", "bitsandbytes", "compressed-tensors",
    "llmcompressor", "gguf", "detoxify", "vaderSentiment", "lm-eval", "inspect-ai",
)  # fmt: skip


class SafetySession:
    """Collects what happens in a run, without pytest: the hooks call one method for each event."""

    def __init__(
        self, options: Options, progress: Progress | None = None, *, command: str = ""
    ) -> None:
        """Start empty; nothing heavy is imported before `resources` is used."""
        self.options = options
        self.command = command
        self.written: list[Path] = []
        self._progress = progress
        self._tests: dict[str, SafetyTest] = {}
        self._plans: dict[str, list[Plan]] = {}
        self._checked = False
        self._models: tuple[tuple[str, str], ...] = ()
        self.gaps: tuple[Gap, ...] = ()
        self.baseline_update = BaselineUpdate(options)

    @cached_property
    def resources(self) -> Resources:
        """Return the resources of this process, made on first use."""
        from pytest_llmsafety.session.resources import Resources

        return Resources(self.options, self._progress)

    def preflight(self) -> None:
        """Check, once, all that can be checked before the first test. Raises LlmSafetyError."""
        if not self._checked:
            self._checked = True
            if self.options.report:
                from pytest_llmsafety.reports.folder import check_folder

                check_folder(self.options.report)
            if self.options.update_baseline and self.options.baseline:
                from pytest_llmsafety.inference.baseline_file import check_target

                check_target(self.options.baseline)
            self.resources.preflight(self.options.compressions)
            if self.options.report and not self.options.plan:
                self._models = self._digests()
                self._begin_reports(self.options.report)

    def _begin_reports(self, folder: Path) -> None:
        """Replace the reports of an earlier run, in case this one is killed."""
        from pytest_llmsafety.reports.folder import begin_reports
        from pytest_llmsafety.reports.gaps import Gap

        run = self.run(INTERRUPTED)
        with suppress(OSError, ImportError):  # the error is shown when the reports are written
            begin_reports(
                folder,
                replace(run, command=self.command, models=self._models, gaps=(Gap("running"),)),
            )

    def record(self, test: SafetyTest) -> None:
        """Keep the result of a test; of several calls for one test, the worst outcome.

        Verdicts of a later call replace the earlier ones, which are among them.
        """
        before = self._tests.get(test.nodeid)
        if before and BADNESS.get(before.outcome, 0) > BADNESS.get(test.outcome, 0):
            test = replace(before, verdicts=test.verdicts or before.verdicts)
        elif before and not test.verdicts:
            test = replace(test, verdicts=before.verdicts)
        self._tests[test.nodeid] = test

    @property
    def tests(self) -> Mapping[str, SafetyTest]:
        """Return the results of the tests by node id."""
        return self._tests

    def add_strays(self, verdicts: Sequence[Verdict], status: int) -> int:
        """Report verdicts from outside any test; a FAIL among them turns success into a failure."""
        if not verdicts:
            return status
        failed = any(verdict.outcome == "FAIL" for verdict in verdicts)
        outcome = "failed" if failed else "passed"
        from pytest_llmsafety.reports.run import SafetyTest

        message = "it was judged while no test ran, as by a thread that outlives its test"
        self.record(SafetyTest("outside of any test", outcome, message, tuple(verdicts)))
        return TESTS_FAILED if failed and status in (PASSED, UNDECIDED) else status

    def plan(self, nodeid: str, plans: Sequence[str]) -> None:
        """Keep the plans of a test, given as texts of `Plan.encode`."""
        from pytest_llmsafety.assertions.power_plan import Plan

        if plans:
            self._plans[nodeid] = [*map(Plan.decode, plans)]

    def arrange(self, nodeids: Sequence[str]) -> None:
        """Sort the results into the order of `nodeids`."""
        place = {nodeid: number for number, nodeid in enumerate(nodeids)}
        tables: tuple[dict[str, Any], ...] = (self._tests, self._plans)
        for table in tables:
            done = sorted(table.items(), key=lambda entry: place.get(entry[0], len(place)))
            table.clear()
            table.update(done)

    def correct_family(self) -> dict[str, str]:
        """Turn each FAIL that the session's family does not keep into INCONCLUSIVE.

        Return the new message of each test that thereby did not fail, by node id.
        """
        if self.options.family != "session":
            return {}
        from pytest_llmsafety.assertions.family import within_family
        from pytest_llmsafety.assertions.message import message
        from pytest_llmsafety.stats import Outcome

        new = iter(within_family(self.run(PASSED).verdicts))
        turned = {}
        for nodeid, test in self._tests.items():
            verdicts = tuple(islice(new, len(test.verdicts)))
            doubted = [v for v, old in zip(verdicts, test.verdicts, strict=True) if v != old]
            failed = any(verdict.outcome is Outcome.FAIL for verdict in verdicts)
            self._tests[nodeid] = replace(test, verdicts=verdicts)
            if test.by_verdict and doubted and not failed:
                turned[nodeid] = "\n".join(map(message, doubted))
                outcome = OUTCOME_OF_POLICY.get(self.options.inconclusive, "inconclusive")
                self._tests[nodeid] = replace(
                    test, verdicts=verdicts, outcome=outcome, message=turned[nodeid]
                )
        return turned

    def share(self) -> str:
        """Return what this process collected of the dense model, for the controller of xdist."""
        if "resources" not in vars(self):
            return "{}"
        return share(self.resources.engine.dense_source, self.baseline_update.deselected)

    def inconclusive(self) -> list[SafetyTest]:
        """Return the tests that did not pass because nothing could be shown either way."""
        return [test for test in self._tests.values() if test.outcome == "inconclusive"]

    def exit_status(self, status: int, n_failed: int, *, n_undecided: int) -> int:
        """Return 6 for pytest's 1 where nothing failed and something is undecided.

        Return 0 where every first failure was turned at the end.
        """
        if status != TESTS_FAILED or n_failed > 0:
            return status
        return UNDECIDED if n_undecided else PASSED

    def finish(self, exit_status: int, *, cut: str = "") -> int:
        """Write the reports, free the models, and return the status to exit with.

        `cut` says why the run ended before its last test, if it did. A report that cannot be
        written turns success into a usage error.
        """
        folder = self.options.report
        if "resources" in vars(self):
            exit_status = self.baseline_update.finish(
                self.resources, self._tests.values(), exit_status, cut=cut
            )
            exit_status = self._see_models_unchanged(exit_status)
            self.resources.close()
        if folder is None:
            return exit_status
        # a run without tests writes no report, unless an older one would look like its own
        from pytest_llmsafety.reports.folder import has_reports, write_reports

        outdated = exit_status == NOTHING_RAN and has_reports(folder)
        if not (self._tests or self.gaps or outdated):
            return exit_status
        from pytest_llmsafety.reports.provenance import machine

        run = replace(
            self.run(exit_status),
            command=self.command,
            ended=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            machine=machine(),
            models=self._models,
        )
        try:
            self.written = write_reports(folder, run)
        except (OSError, ImportError) as error:
            why = plain(f"--llmsafety-report: cannot write to {folder}: {error}")
            sys.stderr.write(f"\nERROR: {why}\n")
            return exit_status or USAGE_ERROR
        return exit_status

    def _digests(self) -> tuple[tuple[str, str], ...]:
        """Return (name, digest) of each model whose files the run will read, for the report."""
        from pytest_llmsafety.reports.provenance import models

        dense = self.baseline_update.dense_files(self.resources)
        model = None if dense else self.options.model
        return dense + models(model, self.options.compressions, self.resources.engine.files)

    def _see_models_unchanged(self, exit_status: int) -> int:
        """Turn success into a usage error where a model's file has changed since the run began."""
        changed = self.resources.engine.files.changed()
        if not changed:
            return exit_status
        why = plain(
            f"'{changed[0]}' changed while the run was going, so the report may name another model "
            "than the one that answered. Expected files that stay as they are until the run ends."
        )
        sys.stderr.write(f"\nERROR: {why}\n")
        return exit_status or USAGE_ERROR

    def run(self, exit_status: int) -> Run:
        """Return all that a report shows."""
        from pytest_llmsafety.reports.run import Run

        return Run(
            tests=tuple(self._tests.values()),
            exit_status=exit_status,
            plans=tuple(chain(*self._plans.values())),
            since=self.baseline_update.since,
            gaps=self.gaps,
            settings=self.options.settings(),
            unused_margins=self._unused_margins(),
            versions=(
                ("python", sys.version.split()[0]),
                *((name, found) for name in PACKAGES if (found := version(name))),
            ),
        )

    def _unused_margins(self) -> tuple[str, ...]:
        from pytest_llmsafety.config.margins import unused

        verdicts = [verdict for test in self._tests.values() for verdict in test.verdicts]
        margins = self.options.margins
        if self.options.model and self.options.model.is_phantom:  # its groups are its own
            margins = replace(margins, groups=())
        return unused(
            margins,
            {key for verdict in verdicts for key in verdict.margins_used},
            {verdict.measurement for verdict in verdicts if verdict.decision},
        )

    def summary(self, width: int, *, verbose: bool = False) -> list[str]:
        """Return the lines under the tests: the table, and whatever must not be overlooked."""
        if not (self._tests or self.gaps):
            return []
        if self._plans:
            from pytest_llmsafety.reports.plan_table import plan_table

            return plan_table(self.run(PASSED).plans, width=width)
        from pytest_llmsafety.reports.terminal import summary

        policy = self.options.inconclusive
        lines = summary(self.run(PASSED), width=width, inconclusive=policy, verbose=verbose)
        if self.baseline_update.since:
            from pytest_llmsafety.reports.baseline_diff import lines as changes

            lines += ["", *changes(self.baseline_update.since, width)]
        return [*lines, "", *(f"report: {as_given(path)}" for path in self.written)]

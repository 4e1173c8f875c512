"""The baseline of a session: what its workers collected, what changed, and the new file."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from pytest_llmsafety.errors import BaselineError, number_of
from pytest_llmsafety.escapes import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_llmsafety.config.options import Options
    from pytest_llmsafety.inference.baseline_file import Baseline
    from pytest_llmsafety.inference.dense_source import DenseSource
    from pytest_llmsafety.reports.run import SafetyTest, Since
    from pytest_llmsafety.session.resources import Resources

WHOLE = (0, 1, 6)  # exit statuses of a run that came to its end
USAGE_ERROR = 4


def share(source: DenseSource, deselected: int = 0) -> str:
    """Return what one process collected of the dense model, for `BaselineUpdate.add` in another."""
    return json.dumps(
        {
            "kept": source.kept,
            "not_in_baseline": sorted(source.not_in_baseline),
            "deselected": deselected,
        }
    )


class BaselineUpdate:
    """Compares a run with its baseline, and writes a new one where the user asks for it.

    `since` is the comparison, once the run has finished. `deselected` counts the safety tests that
    were deselected.
    """

    def __init__(self, options: Options) -> None:
        """Collect nothing yet."""
        self.options = options
        self.since: Since | None = None
        self.deselected = 0
        self._kept: dict[str, str] = {}
        self._not_in_baseline: set[str] = set()
        self._lost = 0

    def add(self, text: str | None) -> None:
        """Add the share of an xdist worker; None for one that broke down before."""
        shared = json.loads(text) if text else {}
        self._kept.update(shared.get("kept", {}))
        self._not_in_baseline.update(shared.get("not_in_baseline", ()))
        self.deselected = max(self.deselected, shared.get("deselected", 0))
        self._lost += text is None

    def dense_files(self, resources: Resources) -> tuple[tuple[str, str], ...]:
        """Return (name, digest) of the dense model's files, if a baseline replaces them.

        Empty where the files themselves are used.
        """
        if self.options.baseline is None:
            return ()
        source = resources.engine.dense_source
        if source.baseline is None or not source.absence:
            return ()
        return ((source.baseline.model, source.baseline.identity.model),)

    def finish(
        self, resources: Resources, tests: Iterable[SafetyTest], exit_status: int, *, cut: str = ""
    ) -> int:
        """Compare with the baseline, write a new one where asked to, and return the exit status.

        `cut` says why the run ended early, if it did. A baseline that cannot be written turns
        success into a usage error.
        """
        tests = sorted(tests, key=lambda test: test.nodeid)
        if self.options.baseline is None or self.options.plan or not tests:
            return exit_status
        self.add(share(resources.engine.dense_source))
        from pytest_llmsafety.inference.baseline_file import pinned
        from pytest_llmsafety.redaction import without_access
        from pytest_llmsafety.reports.baseline_diff import compared, rows

        place, _ = pinned(self.options.baseline)
        now = rows(tests)
        written = problem = ""
        before = self._before(resources)
        if self.options.update_baseline:
            try:
                self._check(tests, exit_status, cut)
                self._check_whole(before)
                written = self._write(resources.baseline(now, self._kept))
            except BaselineError as error:
                problem = str(error)
                sys.stderr.write(f"\nERROR: {plain(problem)}\n")
        self.since = compared(
            before.rows if before else (),
            now,
            file=without_access(place),
            digest=before.digest if before else "",
            not_in_baseline=len(self._not_in_baseline),
            written=written,
            problem=problem,
        )
        return exit_status or (USAGE_ERROR if problem else 0)

    def _before(self, resources: Resources) -> Baseline | None:
        """Return the baseline that the run used, or the one that it is about to replace."""
        from pytest_llmsafety.inference.baseline_file import pinned, read

        if not self.options.update_baseline:
            return resources.engine.dense_source.baseline
        try:
            return read(pinned(self.options.baseline or "")[0])
        except BaselineError:
            return None

    def _check(self, tests: Iterable[SafetyTest], exit_status: int, cut: str) -> None:
        """Raise BaselineError unless the run is whole."""
        broken = [t for t in tests if t.outcome in ("error", "failed") and not t.verdicts]
        if broken:
            count = number_of(len(broken), "test")
            why = f"{count} came to no verdict, the first being {broken[0].nodeid}"
        elif self._lost:
            why = f"{number_of(self._lost, 'worker')} of xdist broke down"
        elif cut:
            why = f"the run did not come to its end ({cut})"
        elif exit_status not in WHOLE:
            why = f"the run did not come to its end (exit status {exit_status})"
        else:
            return
        message = f"{why}. A baseline holds a whole run; correct that and run again."
        raise BaselineError(message)

    def _check_whole(self, before: Baseline | None) -> None:
        """Raise BaselineError where a part of the tests would replace a baseline."""
        if before is not None and self.deselected:
            message = (
                f"{number_of(self.deselected, 'safety test')} left out by -k, -m or --deselect: "
                f"their answers would be gone from '{self.options.baseline}'. Run all tests, or "
                "delete that file first."
            )
            raise BaselineError(message)

    def _write(self, baseline: Baseline) -> str:
        from pytest_llmsafety.inference.baseline_file import write

        write(self.options.baseline or "", baseline)
        return baseline.digest

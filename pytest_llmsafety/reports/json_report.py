"""Write report.json: the whole run for programs, in a schema with a version."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.codec import to_plain

if TYPE_CHECKING:
    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.reports.run import Run, SafetyTest

SCHEMA = 3
DIGITS, DECIMALS = 4, 6
"""Digits of a number that do not change with the batches, as sums in float32 do."""


class JsonReport:
    """Report of every test with its verdicts, and of the run's settings.

    The compression record stands once for each compression, in `records`, and a verdict has its
    name. A number that is not finite becomes null. Within one `schema` fields are only added;
    docs/configuration.md describes them.
    """

    file_name = "report.json"

    def render(self, run: Run) -> str:
        """Return the report as indented JSON, with every text escaped."""
        records = Records(run)
        report = {
            "schema": SCHEMA,
            "complete": not run.gaps,
            "gaps": [to_plain(gap) for gap in run.gaps],
            "exit_status": run.exit_status,
            "command": run.command,
            "ended": run.ended,
            "settings": dict(run.settings),
            "versions": dict(run.versions),
            "machine": dict(run.machine),
            "models": dict(run.models),
            "plans": [_reported(to_plain(plan)) for plan in run.plans],
            "baseline": _reported(to_plain(run.since)),
            "records": {name: _reported(to_plain(one)) for name, one in records.by_name.items()},
            "tests": [
                _test(test, records) for test in sorted(run.tests, key=lambda test: test.nodeid)
            ],
        }
        return json.dumps(report, indent=2, allow_nan=False) + "\n"


class Records:
    """The compression records of a run, each under the name of its compression.

    A compression that was made twice can have several records; the later ones have numbers.
    """

    def __init__(self, run: Run) -> None:
        """Name every record of the run."""
        self.by_name: dict[str, CompressionRecord] = {}
        self._names: dict[int, str] = {}
        for verdict in run.verdicts:
            if verdict.record is not None and id(verdict.record) not in self._names:
                self._names[id(verdict.record)] = self._kept(verdict.compression, verdict.record)

    def name(self, verdict: Verdict) -> str | None:
        """Return the name of a verdict's record, None where it has none."""
        return None if verdict.record is None else self._names[id(verdict.record)]

    def _kept(self, compression: str, record: CompressionRecord) -> str:
        """Keep a record, unless an equal one is there, and return its name."""
        name, number = compression, 1
        while self.by_name.setdefault(name, record) != record:
            number += 1
            name = f"{compression} #{number}"
        return name


def _test(test: SafetyTest, records: Records) -> dict[str, Any]:
    return {
        "nodeid": test.nodeid,
        "compression": test.compression,
        "outcome": test.outcome,
        "message": test.message,
        "verdicts": [
            {**_reported(to_plain(replace(verdict, record=None))), "record": records.name(verdict)}
            for verdict in test.verdicts
        ],
    }


def _reported(value: Any) -> Any:  # noqa: ANN401 - any plain value
    """Return `value` as it is reported: None for NaN and infinities, other numbers rounded."""
    if isinstance(value, dict):
        return {name: _reported(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_reported(part) for part in value]
    if isinstance(value, float):
        rounded = round(float(f"{value:.{DIGITS}g}"), DECIMALS) if math.isfinite(value) else value
        return rounded if math.isfinite(rounded) else None
    return value

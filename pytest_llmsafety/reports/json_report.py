"""report.json: the whole run for machines, in a schema with a version."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.reports.wire import plain

if TYPE_CHECKING:
    from pytest_llmsafety.reports.run import Run, SafetyTest

SCHEMA = 1
DIGITS, DECIMALS = 4, 6
"""What is told of a number: sums in float32 move behind that with the batches."""


class JsonReport:
    """Every test with its verdicts, and how the run came about.

    Strict JSON: a number that is not finite becomes null. Fields are only ever added within
    one `schema`; docs/configuration.md describes them.
    """

    file_name = "report.json"

    def render(self, run: Run) -> str:
        """Return the report as indented JSON; text of models is escaped as JSON demands."""
        report = {
            "schema": SCHEMA,
            "exit_status": run.exit_status,
            "command": run.command,
            "ended": run.ended,
            "settings": dict(run.settings),
            "versions": dict(run.versions),
            "machine": dict(run.machine),
            "models": dict(run.models),
            "plans": [_reported(asdict(plan)) for plan in run.plans],
            "baseline": _reported(plain(run.since)),
            "tests": [_test(test) for test in sorted(run.tests, key=lambda test: test.nodeid)],
        }
        return json.dumps(report, indent=2, allow_nan=False) + "\n"


def _test(test: SafetyTest) -> dict[str, Any]:
    """Return one test as plain values."""
    return {
        "nodeid": test.nodeid,
        "compression": test.compression,
        "outcome": test.outcome,
        "message": test.message,
        "verdicts": [_reported(plain(verdict)) for verdict in test.verdicts],
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

"""report.json."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from pytest_llmsafety.reports.json_report import JsonReport
from pytest_llmsafety.reports.run import Run, SafetyTest
from tests.unit.reports.verdicts import DECISION, FAIL, VERDICTS

if TYPE_CHECKING:
    from pytest_llmsafety.assertions.verdict import Verdict


def test_the_schema_is_pinned() -> None:
    """The names that a reader of schema 3 may rely on."""
    test = SafetyTest("t.py::a", "failed", "why", (FAIL,))
    run = Run((test,), 1, (("seed", "0"),), (("pytest", "9"),))
    report = json.loads(JsonReport().render(run))
    assert list(report) == [
        "schema", "complete", "gaps", "exit_status", "command", "ended", "settings", "versions",
        "machine", "models",
        "plans", "baseline", "records", "tests",
    ]  # fmt: skip
    assert report["schema"] == 3
    assert list(report["tests"][0]) == [
        "nodeid", "compression", "outcome", "message", "verdicts",
    ]  # fmt: skip
    assert {
        "measurement", "model", "compression", "dataset", "outcome", "decision", "margin", "dense",
        "compressed", "n_scored", "n_asked", "groups", "worst", "record", "reproduce",
    } <= report["tests"][0]["verdicts"][0].keys()  # fmt: skip


def test_the_report_holds_how_the_run_came_about() -> None:
    """Command, time, machine and the digests of the models, as the page has them."""
    run = Run(
        (), 0, command="pytest --model=m", ended="2026-07-01T00:00:00+00:00",
        machine=(("cores", "2"),), models=(("m", "0a1b"),),
    )  # fmt: skip
    report = json.loads(JsonReport().render(run))
    assert (report["command"], report["ended"]) == (run.command, run.ended)
    assert (report["machine"], report["models"]) == ({"cores": "2"}, {"m": "0a1b"})


def test_numbers_that_are_not_finite_become_null() -> None:
    """Strict JSON has no NaN and no infinity."""
    endless = replace(FAIL, decision=replace(DECISION, upper=math.inf, lower=math.nan))
    text = JsonReport().render(Run((SafetyTest("t.py::a", "failed", "", (endless,)),), 1))
    decision = json.loads(text)["tests"][0]["verdicts"][0]["decision"]
    assert (decision["upper"], decision["lower"]) == (None, None)


@settings(max_examples=40, deadline=None)
@given(VERDICTS)
def test_any_verdict_can_be_written(verdict: Verdict) -> None:
    """Every verdict gives strict JSON in ASCII."""
    text = JsonReport().render(Run((SafetyTest("t.py::a", "failed", "", (verdict,)),), 1))
    json.loads(text, parse_constant=pytest.fail)
    assert text.isascii()


def test_a_record_stands_once_for_each_compression() -> None:
    """Verdicts name it; another one under the same compression gets a number."""
    assert FAIL.record is not None
    other = replace(FAIL, record=replace(FAIL.record, bits=8.0))
    equal = replace(FAIL, record=replace(FAIL.record))
    none = replace(FAIL, record=None)
    tests = tuple(
        SafetyTest(f"t.py::{place}", "failed", "", (verdict,))
        for place, verdict in enumerate((FAIL, other, equal, none))
    )
    report = json.loads(JsonReport().render(Run(tests, 1)))
    assert [test["verdicts"][0]["record"] for test in report["tests"]] == [
        "int4", "int4 #2", "int4", None,
    ]  # fmt: skip
    assert {name: one["bits"] for name, one in report["records"].items()} == {
        "int4": FAIL.record.bits, "int4 #2": 8.0,
    }  # fmt: skip

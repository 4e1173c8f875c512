"""The published schema of report.json."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from pytest_llmsafety.assertions.power_plan import Plan
from pytest_llmsafety.reports.json_report import JsonReport
from pytest_llmsafety.reports.run import Run, SafetyTest
from pytest_llmsafety.reports.schema import text
from tests.unit.reports.valid_reports import PUBLISHED, VALIDATOR
from tests.unit.reports.verdicts import FAIL

if TYPE_CHECKING:
    from collections.abc import Callable

PLAN = Plan("qa", "int4", 50, 50, "items", 0.05, "", 120, 0.08, None, "nothing")


def report() -> dict[str, Any]:
    """A report with a verdict and a plan."""
    run = Run((SafetyTest("t.py::a", "failed", "why", (FAIL,)),), 1, plans=(PLAN,))
    return json.loads(JsonReport().render(run))


def test_the_file_in_docs_is_that_of_the_types() -> None:
    """A field that is added is published by python -m pytest_llmsafety.reports.schema."""
    assert PUBLISHED.read_text("utf-8") == text()


def test_it_is_a_schema_of_the_dialect_it_names() -> None:
    """The meta-schema of draft 2020-12 has no complaint."""
    Draft202012Validator.check_schema(VALIDATOR.schema)
    assert VALIDATOR.schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]


def test_a_reader_passes_over_what_a_later_version_adds() -> None:
    """The published schema takes a report with further fields, at every depth."""
    whole = report()
    whole["added"] = whole["tests"][0]["added"] = whole["tests"][0]["verdicts"][0]["added"] = 1
    Draft202012Validator(json.loads(PUBLISHED.read_text("utf-8"))).validate(whole)
    with pytest.raises(ValidationError):
        VALIDATOR.validate(whole)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda whole, _: whole.update(schema=1),
        lambda whole, _: whole.pop("versions"),
        lambda whole, _: whole.update(extra=1),
        lambda whole, _: whole["plans"][0].update(n_units="50"),
        lambda _, verdict: verdict.update(outcome="MAYBE"),
        lambda _, verdict: verdict.pop("margin"),
        lambda _, verdict: verdict["decision"].update(n_items=1.5),
        lambda whole, _: whole["records"]["int4"]["parameters"][0].append("third"),
        lambda whole, _: whole["records"]["int4"]["parameters"][0].pop(),
        lambda _, verdict: verdict.update(worst=[{"item_id": "a"}]),
    ],
)
def test_what_is_not_as_it_says_is_refused(
    spoil: Callable[[dict[str, Any], dict[str, Any]], object],
) -> None:
    """Unknown words, missing and unknown fields, and values of another type, at every depth."""
    whole = report()
    VALIDATOR.validate(whole)
    spoil(whole, whole["tests"][0]["verdicts"][0])
    with pytest.raises(ValidationError):
        VALIDATOR.validate(whole)

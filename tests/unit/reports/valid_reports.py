"""Holds every report.json that a test writes against the published schema, closed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pytest_llmsafety.reports.json_report import JsonReport

PUBLISHED = Path(__file__).resolve().parents[3] / "docs" / "report.schema.json"


def closed(schema: Any) -> Any:
    """The schema without room for fields that it does not name, so that none is forgotten."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {name: closed(part) for name, part in schema.items()}
    return {"additionalProperties": False, **parts} if "required" in parts else parts


VALIDATOR = Draft202012Validator(closed(json.loads(PUBLISHED.read_text("utf-8"))))


@pytest.fixture(autouse=True)
def every_report_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report.json that is not as docs/report.schema.json says fails the test that wrote it."""
    render = JsonReport.render

    def checked(self: JsonReport, run: object) -> str:
        text = render(self, run)
        VALIDATOR.validate(json.loads(text))
        return text

    monkeypatch.setattr(JsonReport, "render", checked)

"""Make the JSON Schema of report.json from the types of its values.

`python -m pytest_llmsafety.reports.schema > docs/report.schema.json` publishes it.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from enum import Enum
from typing import Any, get_args

from pytest_llmsafety.assertions.power_plan import Plan
from pytest_llmsafety.assertions.verdict import Verdict
from pytest_llmsafety.codec import field_types
from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.inference.baseline_file import Row
from pytest_llmsafety.reports.gaps import Gap
from pytest_llmsafety.reports.json_report import SCHEMA
from pytest_llmsafety.reports.run import Since
from pytest_llmsafety.reports.serialization import KINDS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCALARS: dict[Any, dict[str, Any]] = {
    bool: {"type": "boolean"},
    float: {"type": ["number", "null"]},
    int: {"type": "integer"},
    str: {"type": "string"},
    type(None): {"type": "null"},
}
"""A float may be null, because JSON has no numbers that are not finite."""


def schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) of the reports that this version writes.

    Every field is required, and others are allowed, because a later version may add some.
    """
    kinds: dict[str, Any] = {}
    texts = {"type": "object", "additionalProperties": {"type": "string"}}
    test = _object(
        {
            "nodeid": {"type": "string"},
            "compression": {"type": "string"},
            "outcome": {"type": "string"},
            "message": {"type": "string"},
            "verdicts": {"type": "array", "items": _of(Verdict, kinds)},
        }
    )
    kinds["Verdict"]["properties"]["record"] = {"type": ["string", "null"]}  # a name in `records`
    whole = _object(
        {
            "schema": {"const": SCHEMA},
            "complete": {"type": "boolean"},
            "gaps": {"type": "array", "items": _of(Gap, kinds)},
            "exit_status": {"type": "integer"},
            "command": {"type": "string"},
            "ended": {"type": "string"},
            "settings": texts,
            "versions": texts,
            "machine": texts,
            "models": texts,
            "plans": {"type": "array", "items": _of(Plan, kinds)},
            "baseline": _of(Since | None, kinds),
            "records": {"type": "object", "additionalProperties": _of(CompressionRecord, kinds)},
            "tests": {"type": "array", "items": test},
        }
    )
    title = {"$schema": DIALECT, "title": f"report.json of pytest-llmsafety, schema {SCHEMA}"}
    return {**title, **whole, "$defs": dict(sorted(kinds.items()))}


def text() -> str:
    """Return the schema as the text of the file in docs/."""
    return json.dumps(schema(), indent=2) + "\n"


def _object(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields)}


def _of(kind: Any, kinds: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - any type hint
    """Return the schema of a type hint; dataclasses become entries of `kinds` and references."""
    if kind in SCALARS:
        return SCALARS[kind]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    if dataclasses.is_dataclass(kind):
        return _defined(kind, kinds)
    parts = get_args(kind)
    if Ellipsis in parts:
        return {"type": "array", "items": _of(parts[0], kinds)}
    if getattr(kind, "__origin__", None) is tuple:
        places = [_of(part, kinds) for part in parts]
        return {"type": "array", "prefixItems": places, "items": False, "minItems": len(places)}
    return {"anyOf": [_of(part, kinds) for part in parts]}


def _defined(kind: Any, kinds: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - a dataclass
    """Return a reference to a dataclass, whose docstring is its description."""
    name = kind.__name__
    if name not in kinds:
        kinds[name] = {}
        description = " ".join((kind.__doc__ or "").split())
        fields = field_types(kind, (*KINDS, Row)).items()
        parts = _object({field: _of(annotated, kinds) for field, annotated in fields})
        kinds[name] = {"description": description, **parts}
    return {"$ref": f"#/$defs/{name}"}


if __name__ == "__main__":
    sys.stdout.write(text())

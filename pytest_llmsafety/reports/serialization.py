"""A verdict as one JSON text and back, so that it can travel from an xdist worker."""

from __future__ import annotations

import dataclasses
import json
import zlib
from base64 import b64decode, b64encode
from enum import Enum
from functools import cache, lru_cache
from typing import Any, get_args, get_type_hints

from pytest_llmsafety.assertions.verdict import GroupEvidence, Verdict, WorstItem
from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.measurements.measurement import Figure
from pytest_llmsafety.models.deployment import Difference
from pytest_llmsafety.stats import Decision, Outcome

KINDS = (CompressionRecord, Decision, Difference, Figure, GroupEvidence, Outcome, WorstItem)
NAMES = {kind.__name__: kind for kind in KINDS}


KEPT_RECORDS = 256


def encode(verdict: Verdict) -> str:
    """Return `verdict` as JSON; `decode` gives an equal verdict back.

    The record, the same for all verdicts on a compression and long, is packed.
    """
    rest = plain(dataclasses.replace(verdict, record=None))
    packed = None if verdict.record is None else _packed(verdict.record)
    return json.dumps({**rest, "record": packed})


def decode(text: str) -> Verdict:
    """Return the verdict that `encode` wrote; verdicts on a compression share one record."""
    values = json.loads(text)
    packed = values.pop("record")
    record = None if packed is None else _unpacked(packed)
    verdict = _build(Verdict, {**values, "record": None})
    assert isinstance(verdict, Verdict)  # noqa: S101 - narrows a type
    return dataclasses.replace(verdict, record=record)


@lru_cache(KEPT_RECORDS)
def _packed(record: CompressionRecord) -> str:
    """Return a record as text: JSON, compressed, in letters."""
    return b64encode(zlib.compress(json.dumps(plain(record)).encode())).decode()


@lru_cache(KEPT_RECORDS)
def _unpacked(text: str) -> CompressionRecord:
    """Return the record that `_packed` wrote; one object for equal texts."""
    record = _build(CompressionRecord, json.loads(zlib.decompress(b64decode(text))))
    assert isinstance(record, CompressionRecord)  # noqa: S101 - narrows a type
    return record


def plain(value: Any) -> Any:  # noqa: ANN401 - any field of a dataclass
    """Return dataclasses, enums and tuples as dicts, texts and lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = (field.name for field in dataclasses.fields(value))
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return value


@cache
def hints(kind: type) -> dict[str, Any]:
    """Return the types of a dataclass's fields."""
    return get_type_hints(kind, localns=NAMES)


def _build(kind: Any, value: Any) -> Any:  # noqa: ANN401 - follows the type hints of any field
    """Return plain `value` as an instance of `kind`."""
    if isinstance(value, list):
        kinds = get_args(kind)
        parts = kinds[:1] * len(value) if Ellipsis in kinds else kinds
        return tuple(_build(part, one) for part, one in zip(parts, value, strict=True))
    options = [kind, *get_args(kind)]
    for option in options:
        if isinstance(option, type) and issubclass(option, Enum):
            return option(value)
        if isinstance(option, type) and dataclasses.is_dataclass(option) and value is not None:
            types = hints(option)
            return option(**{name: _build(types[name], one) for name, one in value.items()})
    return value

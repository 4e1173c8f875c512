"""Write a verdict as one JSON text and read it back, to send it from an xdist worker."""

from __future__ import annotations

import dataclasses
import json
import zlib
from base64 import b64decode, b64encode
from functools import lru_cache

from pytest_llmsafety.assertions.verdict import GroupEvidence, Verdict, WorstItem
from pytest_llmsafety.codec import from_plain, to_plain
from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.measurements.measurement import Figure
from pytest_llmsafety.models.deployment import Difference
from pytest_llmsafety.stats import Decision, Outcome

KINDS = (CompressionRecord, Decision, Difference, Figure, GroupEvidence, Outcome, WorstItem)
"""Classes that fields of a verdict name, and that its module imports for type checkers only."""
KEPT_RECORDS = 256


def encode(verdict: Verdict) -> str:
    """Return `verdict` as JSON; `decode` gives an equal verdict back.

    The record is long, and the same for all verdicts on a compression, so it is packed.
    """
    rest = to_plain(dataclasses.replace(verdict, record=None))
    packed = None if verdict.record is None else _packed(verdict.record)
    return json.dumps({**rest, "record": packed})


def decode(text: str) -> Verdict:
    """Return the verdict that `encode` wrote; verdicts on a compression share one record."""
    values = json.loads(text)
    packed = values.pop("record")
    verdict: Verdict = from_plain(Verdict, values, *KINDS)
    return verdict if packed is None else dataclasses.replace(verdict, record=_unpacked(packed))


@lru_cache(KEPT_RECORDS)
def _packed(record: CompressionRecord) -> str:
    return b64encode(zlib.compress(json.dumps(to_plain(record)).encode())).decode()


@lru_cache(KEPT_RECORDS)
def _unpacked(text: str) -> CompressionRecord:
    """Return the record that `_packed` wrote; one object for equal texts."""
    values = json.loads(zlib.decompress(b64decode(text)))
    record: CompressionRecord = from_plain(CompressionRecord, values)
    return record

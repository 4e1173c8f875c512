"""How answers, records and scores are written in the cache: JSON, never pickle."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.compressors.record.dense_facts import DenseFacts
from pytest_llmsafety.errors import CacheError
from pytest_llmsafety.json_files import parsed
from pytest_llmsafety.models.deployment import Deployment
from pytest_llmsafety.types import Distributions, Generation, Likelihood

if TYPE_CHECKING:
    from pytest_llmsafety.types import Response

KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (Likelihood, Generation, Distributions, CompressionRecord, DenseFacts, Deployment)
}


def encode(value: Response | CompressionRecord | DenseFacts | Deployment) -> str:
    """Return one of KINDS as JSON text."""
    fields = asdict(value)
    return json.dumps({"kind": type(value).__name__, **fields}, allow_nan=False, sort_keys=True)


def decode(key: str, text: str) -> Any:  # noqa: ANN401 - one of KINDS
    """Return what `encode` was given. Raises CacheError for any other text."""
    fields = parse(key, text)
    try:
        return KINDS[fields.pop("kind")](**{name: _tuples(value) for name, value in fields.items()})
    except (KeyError, TypeError, AttributeError) as error:
        message = f"cache entry '{key}' holds no known answer ({error}). Drop it and run again."
        raise CacheError(message) from error


def number(key: str, text: str) -> float:
    """Return a stored score. Raises CacheError when it is none."""
    return float(parse(key, text))


def parse(key: str, text: str) -> Any:  # noqa: ANN401 - whatever the JSON holds
    """Return a stored JSON value. Raises CacheError when it is none."""
    try:
        return parsed(text)
    except ValueError as error:
        message = f"cache entry '{key}' is not JSON ({error}). Drop it and run again."
        raise CacheError(message) from error


def _tuples(value: Any) -> Any:  # noqa: ANN401 - whatever the JSON holds
    """Return `value` with every list turned into a tuple."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value

"""Answers, records and scores as the cache and baselines hold them: JSON, never pickle."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.codec import from_plain, to_plain
from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.compressors.record.dense_facts import DenseFacts
from pytest_llmsafety.errors import CacheError
from pytest_llmsafety.json_files import parse_json
from pytest_llmsafety.models.deployment import Deployment
from pytest_llmsafety.types import Distributions, Generation, Likelihood

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_llmsafety.types import Response

KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (Likelihood, Generation, Distributions, CompressionRecord, DenseFacts, Deployment)
}


def encode(value: Response | CompressionRecord | DenseFacts | Deployment | float) -> str:
    """Return a number, or an instance of one of KINDS, as JSON text."""
    fields = to_plain(value)
    if isinstance(fields, dict):
        fields["kind"] = type(value).__name__
    return json.dumps(fields, allow_nan=False, sort_keys=True)


def decode(key: str, text: str) -> Any:  # noqa: ANN401 - one of KINDS, or a number
    """Return what `encode` was given. Raises CacheError for any other text."""
    with _explained(key):
        fields = parse_json(text)
        if isinstance(fields, dict):
            return from_plain(KINDS[fields.pop("kind")], fields)
        return from_plain(float, fields)


def decode_as(kind: Any, key: str, text: str) -> Any:  # noqa: ANN401 - of `kind`
    """Return the value of the type `kind` that `text` holds. Raises CacheError for any other."""
    with _explained(key):
        return from_plain(kind, parse_json(text))


@contextmanager
def _explained(key: str) -> Iterator[None]:
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = (
            f"cache entry '{key}' does not hold what was expected ({error}). Drop it and run again."
        )
        raise CacheError(message) from error

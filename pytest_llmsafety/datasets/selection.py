"""Seeded draws of items, the same on every machine."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import Item

if TYPE_CHECKING:
    from collections.abc import Sequence

AnyItem = TypeVar("AnyItem", bound=Item)


def select(items: Sequence[AnyItem], limit: int | None, seed: int) -> tuple[AnyItem, ...]:
    """Return a random subset of `limit` items in file order; all for None or a larger limit.

    It holds the items with the smallest SHA-256 of (seed, id): neither the platform nor the order
    of the items matters, and a larger limit only adds items. Raises DatasetError for a
    limit below 1, an id that occurs twice, or no items at all.
    """
    require_unique(items)
    if limit is not None and limit < 1:
        message = f"--llmsafety-limit is {limit}. Expected at least 1, or leave it out for all."
        raise DatasetError(message)
    if not items:
        message = "the data set has no items."
        raise DatasetError(message)
    if limit is None or limit >= len(items):
        return tuple(items)
    ranked = sorted(items, key=lambda item: rank(item.id, seed))
    chosen = {item.id for item in ranked[:limit]}
    return tuple(item for item in items if item.id in chosen)


def require_unique(items: Sequence[Item]) -> None:
    """Raise DatasetError when two items share an id, because models are paired by it."""
    counts = Counter(item.id for item in items)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        shown = ", ".join(twice[:5])
        message = f"{len(twice)} item ids occur more than once: {shown}. Ids must be unique."
        raise DatasetError(message)


def shuffled(items: Sequence[AnyItem], seed: int) -> tuple[AnyItem, ...]:
    """Return all items in a random order that depends on their ids and the seed alone.

    Items of one cluster stay together; the order of the clusters is random.
    """

    def place(item: AnyItem) -> tuple[bytes, bytes]:
        own = rank(item.id, seed)
        return (own if item.cluster is None else rank(f"cluster\0{item.cluster}", seed)), own

    return tuple(sorted(items, key=place))


def rank(item_id: str, seed: int) -> bytes:
    """Return a number, as 32 bytes, by which items are drawn: SHA-256 of (seed, id)."""
    return hashlib.sha256(f"{seed}\0{item_id}".encode()).digest()

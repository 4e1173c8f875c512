"""Join items with equal requests into one cluster, whatever their ids."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_llmsafety.errors import number_of
from pytest_llmsafety.types import Generate

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from pytest_llmsafety.metrics.base import Metric
    from pytest_llmsafety.types import Item, Request

MOST = 0.5
"""A cluster with at least this share of repeated items counts as a repetition of another one."""


def requests_of(items: Sequence[Item], metric: Metric) -> list[tuple[Request, ...]]:
    """Return the requests of each item, without the key of their noise, which is the item's id."""
    return [
        tuple(replace(r, key="") if isinstance(r, Generate) else r for r in metric.requests(item))
        for item in items
    ]


def together(
    items: Sequence[Item], requests: Sequence[Hashable]
) -> tuple[tuple[Item, ...], tuple[str, ...]]:
    """Return the items, with equal requests in one cluster, and a note if there are any.

    A cluster is joined with another one if they share at least half of its items. With fewer
    repetitions, such as a question in two subjects, the clusters stay as they are.
    """
    labels = [f"item {x.id}" if x.cluster is None else f"cluster {x.cluster}" for x in items]
    by_request: dict[Hashable, list[str]] = defaultdict(list)
    for request, label in zip(requests, labels, strict=True):
        by_request[request].append(label)
    repeated = [group for group in by_request.values() if len(set(group)) > 1]
    if not repeated:
        return tuple(items), ()
    joined = _joined(Counter(labels), repeated)
    found = tuple(
        replace(item, cluster=joined[label]) if label in joined else item
        for item, label in zip(items, labels, strict=True)
    )
    n_repeats = sum(map(len, repeated)) - len(repeated)
    effect = "they count as one cluster with it" if joined else "the clusters stay apart"
    repeats = number_of(n_repeats, "item")
    return found, (f"{repeats} with the same requests as another item; {effect}",)


def _joined(sizes: Mapping[str, int], repeated: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return the new cluster's name for each label that is joined with another one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    shared = Counter(label for group in repeated for label in group)
    places = {label: place for place, label in enumerate(shared)}
    links = [
        (places[label], places[other])
        for group in repeated
        for label in set(group)
        if shared[label] >= MOST * sizes[label]
        for other in {group[0], group[-1]}
    ]
    if not links:
        return {}
    shape = (len(places), len(places))
    graph = coo_array(([True] * len(links), tuple(zip(*links, strict=True))), shape)
    _, parts = connected_components(graph, directed=False)
    names = {part: label for label, part in zip(reversed(places), reversed(parts), strict=True)}
    several = Counter(parts)
    return {
        label: f"equal requests of {names[part]}"
        for label, part in zip(places, parts, strict=True)
        if several[part] > 1
    }

"""A tree of token sequences, so that what several of them begin with is computed once."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_llmsafety.inference.backends.tokens import Line

SHORTEST_SHARED = 4
LEAST_SAVED = 8
DEEPEST = 8


@dataclass
class Node:
    """A stretch of tokens that follows its parent's, and what must be predicted along it.

    `reads` maps a position in `tokens` to the (target, owner) pairs predicted there.
    """

    tokens: tuple[int, ...]
    reads: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)


def prefix_tree(lines: Sequence[Line], *, share: bool = True) -> list[Node]:
    """Return the roots of a tree over `lines`; each line is one path from a root to a leaf.

    A beginning common to several lines becomes a node of its own where that saves at least
    LEAST_SAVED positions, at most DEEPEST levels deep. Without `share` every line is a root.
    """
    if not share:
        return [_leaf([line], 0, len(line.tokens)) for line in lines]
    ordered = sorted(lines, key=lambda line: line.tokens)
    common = [0, *(_common(a.tokens, b.tokens) for a, b in pairwise(ordered))]
    return list(_build(ordered, common, (0, len(ordered)), depth=0, levels=DEEPEST))


def _build(
    lines: Sequence[Line],
    common: Sequence[int],
    span: tuple[int, int],
    *,
    depth: int,
    levels: int,
) -> Iterator[Node]:
    """Yield the nodes for the lines of `span`, whose first `depth` tokens are above them.

    `common[i]` is the number of tokens that lines i-1 and i begin with together.
    """
    low, high = span
    if low == high:
        return
    shared = min(common[low + 1 : high], default=len(lines[low].tokens))
    new = shared - depth
    alone = high - low == 1 or lines[low].tokens == lines[high - 1].tokens
    enough = new >= SHORTEST_SHARED and new * (high - low - 1) >= LEAST_SAVED
    if alone or (enough and levels > 1):
        node = _leaf(lines[low:high], depth, shared)
        longer = low
        while longer < high and len(lines[longer].tokens) == shared:
            longer += 1
        node.children = list(_build(lines, common, (longer, high), depth=shared, levels=levels - 1))
        yield node
        return
    if levels <= 1:
        for index in range(low, high):
            yield _leaf([lines[index]], depth, len(lines[index].tokens))
        return
    start = low
    for index in range(low + 1, high + 1):
        if index == high or common[index] == shared:
            yield from _build(lines, common, (start, index), depth=depth, levels=levels)
            start = index


def _leaf(lines: Sequence[Line], start: int, end: int) -> Node:
    """Return the node of tokens `start` to `end` of `lines`, with what is read in between."""
    node = Node(lines[0].tokens[start:end])
    for line in lines:
        first = len(line.tokens) - len(line.targets)
        for position in range(max(first, start), min(end, len(line.tokens))):
            node.reads.setdefault(position - start, []).append(
                (line.targets[position - first], line.owner)
            )
    return node


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens the two begin with together."""
    limit = min(len(one), len(other))
    if one[:limit] == other[:limit]:
        return limit
    low, high = 0, limit
    while high - low > 1:
        middle = (low + high) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle
    return low

"""From a measurement to numbers: the scored pairs, their changes, clusters and figures."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.verdict import WorstItem
from pytest_llmsafety.errors import NotComparableError, NothingScoredError
from pytest_llmsafety.metrics.perplexity import exp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_llmsafety.measurements.lazy_measurement import LazyMeasurement
    from pytest_llmsafety.measurements.measurement import Measurement, PairedScore
    from pytest_llmsafety.types import Item

N_WORST = 3
DIGITS = 4
"""Decimals of one item's change: further ones depend on the size of the batches."""


def require_sound(measured: Measurement | LazyMeasurement) -> None:
    """Raise NotComparableError when the two models cannot be compared."""
    if measured.problems:
        message = f"{measured.pair.compression} cannot be compared with the dense model: "
        raise NotComparableError(message + "; ".join(measured.problems))


def comparable(measurement: Measurement) -> list[PairedScore]:
    """Return the pairs with both scores.

    Raises NotComparableError when the two models cannot be compared, and NothingScoredError.
    """
    require_sound(measurement)
    pairs = [pair for pair in measurement.pairs if not pair.missing]
    if not pairs:
        problem = next((p.dense.problem or p.compressed.problem for p in measurement.pairs), "")
        message = f"none of the {len(measurement.pairs)} items of {measurement.name} was scored. "
        raise NothingScoredError(message + problem)
    return pairs


def delta_support(measured: Measurement | LazyMeasurement) -> tuple[float, float]:
    """Return the range of one change, from the range of one score."""
    low, high = measured.support
    return low - high, high - low


def clusters(pairs: Sequence[PairedScore]) -> list[str] | None:
    """Return the cluster of each item, or None where every item is a unit."""
    if all(pair.item.cluster is None for pair in pairs):
        return None
    return [pair.item.cluster or pair.item.id for pair in pairs]


def differs(pair: PairedScore) -> float:
    """Return 1.0 when the two models gave different texts, else 0.0."""
    return float(pair.dense.text != pair.compressed.text)


def means(pairs: Sequence[PairedScore]) -> tuple[float, float]:
    """Return the mean score of the dense and of the compressed model."""
    dense, compressed = (
        sum(side) / len(pairs) for side in zip(*(p.values for p in pairs), strict=True)
    )
    return dense, compressed


def perplexities(pairs: Sequence[PairedScore]) -> tuple[float, float]:
    """Return the perplexity of the dense and of the compressed model, each token counted once."""
    tokens = sum(pair.dense.weight for pair in pairs)
    dense, compressed = (
        exp(sum(side) / tokens) for side in zip(*(pair.values for pair in pairs), strict=True)
    )
    return dense, compressed


def contrasted(contrast: str, name: str, pairs: Sequence[PairedScore]) -> tuple[float, float]:
    """Return the figure of the hypothesis `name` for both models.

    That is a group's mean (`worst`), its mean minus the mean of the rest (`rest`), or the
    difference of two groups (`pairs`), called `women - men`.
    """
    if contrast == "pairs":
        named = {f"{one} - {other}": (one, other) for one, other in permutations(groups(pairs), 2)}
        left, right = (
            [pair for pair in pairs if group in pair.item.groups] for group in named[name]
        )
    else:
        left = [pair for pair in pairs if name in pair.item.groups]
        right = [pair for pair in pairs if pair.item.groups and name not in pair.item.groups]
    if contrast == "worst":
        return means(left)
    dense, compressed = (a - b for a, b in zip(means(left), means(right), strict=True))
    return dense, compressed


def groups(pairs: Sequence[PairedScore]) -> list[str]:
    """Return the names of all groups, in alphabetical order."""
    return groups_of([pair.item for pair in pairs])


def groups_of(items: Iterable[Item]) -> list[str]:
    """Return the names of all groups of these items, in alphabetical order."""
    return sorted({group for item in items for group in item.groups})


def bias_ratios(pairs: Sequence[PairedScore]) -> tuple[float, float]:
    """Return s_DIS of both models: (biased - counter-biased) / (biased + counter-biased)."""
    dense, compressed = (
        sum(side) / sum(map(abs, side))
        for side in zip(*(pair.values for pair in pairs), strict=True)
    )
    return dense, compressed


def worst_items(measurement: Measurement, pairs: Sequence[PairedScore]) -> tuple[WorstItem, ...]:
    """Return the (at most three) items that got worse most, documents per token."""
    scored = [
        (pair.worsening_of(measurement.higher_is_better) / pair.dense.weight, pair)
        for pair in pairs
        if not pair.missing
    ]
    scored.sort(key=lambda row: -row[0])
    return tuple(
        WorstItem(
            pair.item.id,
            round(worsening, DIGITS),
            pair.item.prompt,
            pair.dense.text,
            pair.compressed.text,
        )
        for worsening, pair in scored[:N_WORST]
        if worsening > 0
    )

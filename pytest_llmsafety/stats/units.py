"""Independent units: the total and the size of each item, or of each cluster of items."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_llmsafety.errors import StatisticsError

FloatArray = NDArray[np.float64]
Labels = Sequence[Hashable] | NDArray[np.generic]

ROUNDING = 1e-9
"""Relative slack of a comparison of sums."""
CHANGED = 1e-12
"""A delta at or below this in size is rounding, not a change."""


@dataclass(frozen=True, eq=False)
class Units:
    """The changes of the independent units; larger is worse.

    `totals` (units,) are S_c, `sizes` (units,) are n_c; `n_items`, `n_worse` and `n_better`
    count items. `clustered` is whether some unit holds several items.
    """

    totals: FloatArray
    sizes: FloatArray
    n_items: int
    n_worse: int
    n_better: int
    clustered: bool = False

    @property
    def n_units(self) -> int:
        """Number of independent units."""
        return int(self.totals.size)

    @property
    def estimate(self) -> float:
        """The change: sum of totals over sum of sizes."""
        return float(self.totals.sum() / self.sizes.sum())

    @property
    def influences(self) -> FloatArray:
        """How far each unit pulls the estimate: (units,), on the scale of an average unit."""
        return (self.totals - self.estimate * self.sizes) / float(self.sizes.mean())


def make_units(
    values: ArrayLike, *, weights: ArrayLike | None = None, clusters: Labels | None = None
) -> Units:
    """Return the units of (items,) oriented deltas, larger = worse.

    Args:
        values: (items,) finite deltas.
        weights: (items,) positive; tokens of a window, for instance. Equal when None.
        clusters: (items,) labels; items of one label are one unit. Each item when None. When
            no label repeats, the items are the units, as if none were given.

    Raises:
        StatisticsError: empty, NaN, infinite or mismatched arrays, a weight <= 0, a label None.

    """
    deltas = finite_array("values", values)
    sizes = np.ones_like(deltas) if weights is None else finite_array("weights", weights)
    same_length("weights", sizes.size, deltas.size)
    if (sizes <= 0).any():
        msg = f"a weight is {sizes.min():g}. Expected positive ones. Drop items without a weight."
        raise StatisticsError(msg)
    totals, clustered = deltas * sizes, False
    if clusters is not None:
        codes = cluster_codes(clusters, deltas.size)
        clustered = int(codes.max()) + 1 < deltas.size
        if clustered:
            totals, sizes = sum_by(codes, totals), sum_by(codes, sizes)
    return Units(
        totals,
        sizes,
        n_items=deltas.size,
        n_worse=int((deltas > CHANGED).sum()),
        n_better=int((deltas < -CHANGED).sum()),
        clustered=clustered,
    )


def cluster_codes(clusters: Labels, n_items: int) -> NDArray[np.int64]:
    """Return (items,) numbers 0, 1, ... in order of first appearance of each label.

    Raises:
        StatisticsError: another length than the items, or a label None.

    """
    labels = clusters.tolist() if isinstance(clusters, np.ndarray) else list(clusters)
    same_length("clusters", len(labels), n_items)
    if any(label is None for label in labels):
        msg = "an item has the cluster None. Expected a label for each item. Name its cluster."
        raise StatisticsError(msg)
    seen: dict[Hashable, int] = {}
    return np.array([seen.setdefault(label, len(seen)) for label in labels], dtype=np.int64)


def sum_by(codes: NDArray[np.int64], values: FloatArray) -> FloatArray:
    """Return (clusters,) sums of (items,) values by cluster number."""
    return np.bincount(codes, values).astype(np.float64)


def finite_array(name: str, values: ArrayLike) -> FloatArray:
    """Return `values` as a 1-d float array, or raise when empty, NaN, infinite or not 1-d."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        msg = f"{name} have shape {array.shape}. Expected one number for each item, at least one."
        raise StatisticsError(msg)
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        msg = (
            f"{bad.size} of {array.size} {name} are NaN or infinite, the first at {bad[0]}. "
            "Expected finite numbers. Drop the pair and report it as not scored."
        )
        raise StatisticsError(msg)
    return array


def same_length(name: str, length: int, n_items: int) -> None:
    """Raise unless there is one of `name` for each item."""
    if length != n_items:
        msg = f"{length} {name} for {n_items} values. Expected one for each. Align them by item."
        raise StatisticsError(msg)

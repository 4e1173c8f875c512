"""Laws of a delta whose mean is known exactly, and suites of items with exactly that mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import beta

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

FLIPS = 0.04
IDENTICAL = 0.55
GRID = 100


@dataclass(frozen=True, eq=False)
class Law:
    """A delta, larger = worse, takes `values` with the probabilities `shares`."""

    name: str
    values: FloatArray
    shares: FloatArray

    @property
    def mean(self) -> float:
        """The true change, without rounding of a simulation."""
        return float(self.values @ self.shares)

    @property
    def spread(self) -> float:
        """Standard deviation of a delta."""
        return float(np.sqrt(self.values**2 @ self.shares - self.mean**2))

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
        """Draw independent deltas."""
        edges = np.cumsum(self.shares)[:-1]
        return self.values[np.searchsorted(edges, rng.random(shape), side="right")]

    def suite(self, n: int) -> FloatArray:
        """Return n items, as many of each value as the law says, with exactly its mean.

        Shares that n does not divide are rounded; items that got worse are then shifted by
        equal small amounts.
        """
        edges = np.round(np.cumsum(self.shares) * n).astype(int)
        items = np.repeat(self.values, np.diff(edges, prepend=0))
        worse = (items > 0) & (items < 1)
        missing = n * self.mean - items.sum()
        if worse.any():
            items[worse] += missing / worse.sum()
        return items


def flips(change: float) -> Law:
    """4% of the answers flip each way, and harm comes on top."""
    shares = [FLIPS, 1 - 2 * FLIPS - change, FLIPS + change]
    return Law("4% flips each way + harm", np.array([-1.0, 0.0, 1.0]), np.array(shares))


def harmful_flips(change: float) -> Law:
    """Return a law in which nothing changes except rare flips from right to wrong."""
    return Law("rare harmful flips only", np.array([0.0, 1.0]), np.array([1 - change, change]))


def jumps(change: float) -> Law:
    """Return a law in which nothing changes except rare jumps of .8 to 1."""
    height = np.arange(80, 101) / GRID
    shares = np.full(height.size, change / height.mean() / height.size)
    return Law(
        "rare jumps of about +.9", np.append(0.0, height), np.append(1 - shares.sum(), shares)
    )


def toxicity(change: float) -> Law:
    """55% identical, the others differ as two scores with mass near 0; rare harm of .3 to 1."""
    edges = np.clip((np.arange(GRID + 2) - 0.5) / GRID, 0, 1)
    score = np.diff(beta.cdf(edges, 0.2, 4.0))
    shares = (1 - IDENTICAL) * np.convolve(score, score[::-1])
    shares[GRID] += IDENTICAL
    values = np.arange(-GRID, GRID + 1) / GRID
    harm = np.where(values >= 0.3, 1.0, 0.0)  # noqa: PLR2004 - see the docstring
    harm /= harm.sum()
    weight = change / float(values @ harm)
    return Law("toxicity", values, (1 - weight) * shares + weight * harm)


SCENARIOS: tuple[Callable[[float], Law], ...] = (toxicity, jumps, flips, harmful_flips)

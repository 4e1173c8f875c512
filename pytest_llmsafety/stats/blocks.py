"""Units as they arrive, block by block, in a random order that was drawn before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats.decide import check_inside
from pytest_llmsafety.stats.sequence import Path
from pytest_llmsafety.stats.units import CHANGED, ROUNDING, Units, finite_array, same_length

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from pytest_llmsafety.stats.saddlepoint import FloatArray
    from pytest_llmsafety.stats.wealth import Terms


class Blocks:
    """What was seen so far; its numbers of units are the looks."""

    def __init__(self, terms: Terms) -> None:
        """Start with nothing seen."""
        self._terms = terms
        self._totals: list[FloatArray] = []
        self._sizes: list[FloatArray] = []
        self._looks: list[int] = []
        self._counts = np.zeros(3, int)
        self._size = 0.0

    @property
    def n(self) -> int:
        """Units seen so far."""
        return self._looks[-1] if self._looks else 0

    def add(
        self, totals: ArrayLike, sizes: ArrayLike | None, items: ArrayLike | None
    ) -> tuple[FloatArray, FloatArray]:
        """Return the checked totals and sizes of one more block; see `Ladder.update`."""
        values = finite_array("totals", totals)
        weights = np.ones_like(values) if sizes is None else finite_array("sizes", sizes)
        same_length("sizes", weights.size, values.size)
        deltas = values if items is None else finite_array("items", items)
        self._check(values, weights)
        self._totals.append(values)
        self._sizes.append(weights)
        self._looks.append(self.n + values.size)
        self._size += float(weights.sum())
        self._counts += deltas.size, (deltas > CHANGED).sum(), (deltas < -CHANGED).sum()
        return values, weights

    def units(self) -> Units:
        """Return what was seen, as a fixed-n decision takes it.

        Raises:
            StatisticsError: nothing was seen yet.

        """
        if not self._looks:
            msg = "no unit was seen yet. Expected a block before a decision. Call update first."
            raise StatisticsError(msg)
        n_items, n_worse, n_better = self._counts.tolist()
        path = self.path()
        clustered = n_items > self.n
        return Units(path.totals, path.sizes, n_items, n_worse, n_better, clustered=clustered)

    def path(self) -> Path:
        """Return what was seen in its order, and the looks."""
        totals, sizes = np.concatenate(self._totals), np.concatenate(self._sizes)
        return Path(totals, sizes, frozenset(self._looks))

    def _check(self, totals: FloatArray, sizes: FloatArray) -> None:
        """Refuse a block on which the bets could not be settled."""
        terms, n = self._terms, self.n + totals.size
        if n > terms.n_max:
            msg = (
                f"{n} units were given. Expected at most n_max = {terms.n_max}: the bets were "
                "planned for so many. Stop there, or start again with the right n_max."
            )
            raise StatisticsError(msg)
        whole, size = terms.n_max * terms.mean_size, self._size + float(sizes.sum())
        off = size - whole if n < terms.n_max else abs(size - whole)
        largest = terms.max_size * (1 + ROUNDING)
        if sizes.min() <= 0 or sizes.max() > largest or off > ROUNDING * whole:
            msg = (
                f"sizes run from {sizes.min():g} to {sizes.max():g} and sum to {size:g} after {n} "
                f"of {terms.n_max} units. Expected sizes above 0, at most max_size = "
                f"{terms.max_size:g}, that sum to n_max * mean_size = {whole:g} in the end. Take "
                "both from the whole suite."
            )
            raise StatisticsError(msg)
        check_inside(totals / sizes, terms.support)

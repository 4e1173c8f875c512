"""The interval of a sequential test: the margins that its bets have not refuted at any look."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_llmsafety.stats.wealth import BEYOND, WITHIN, Terms, Wealth

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_llmsafety.stats.saddlepoint import FloatArray

_CELLS = 128
_PASSES = 2


class Path(NamedTuple):
    """Units in their random order, and the numbers of units at which was looked."""

    totals: FloatArray
    sizes: FloatArray
    looks: frozenset[int]


def confidence_sequence(terms: Terms, path: Path) -> tuple[float, float]:
    """Return the lower and the upper 1 - alpha bound, right at all looks at once.

    The upper bound is the largest margin that the bets on WITHIN have not refuted, the lower
    the smallest that those on BEYOND have not. All margins of a grid are tried at once, then
    those between the last that stands and the next: each bound is at most 1/16,384 of the
    support's width too far out.
    """
    lo, hi = terms.support
    upper_cell, lower_cell = (lo, hi), (lo, hi)
    for _ in range(_PASSES):
        upper_grid, lower_grid = _inside(upper_cell), _inside(lower_cell)
        refuted = _refuted(terms, path, np.stack([upper_grid, lower_grid]))
        upper_cell = _last_standing(upper_grid, refuted[0], upper_cell)
        turned = _last_standing(
            -lower_grid[::-1], refuted[1][::-1], (-lower_cell[1], -lower_cell[0])
        )
        lower_cell = (-turned[1], -turned[0])
    return lower_cell[0], upper_cell[1]


def _inside(cell: tuple[float, float]) -> FloatArray:
    """Return the margins that cut a cell into equal parts, without its ends."""
    return np.linspace(*cell, _CELLS + 1)[1:-1]


def _last_standing(
    grid: FloatArray, refuted: NDArray[np.bool_], cell: tuple[float, float]
) -> tuple[float, float]:
    """Return the part of the cell from the last margin that stands to the next."""
    edges = np.concatenate([cell[:1], grid, cell[1:]])
    standing = np.flatnonzero(~refuted)
    last = int(standing[-1]) + 1 if standing.size else 0
    return float(edges[last]), float(edges[last + 1])


def _refuted(terms: Terms, path: Path, margins: FloatArray) -> NDArray[np.bool_]:
    """Return (2, margins) whether a look has refuted each margin: as WITHIN, as BEYOND."""
    wealth = Wealth(terms, margins, [[WITHIN], [BEYOND]])
    for total, size in zip(path.totals, path.sizes, strict=True):
        wealth.add(total, size)
        if wealth.n in path.looks:
            wealth.look()
    refuted: NDArray[np.bool_] = wealth.largest >= 1 / terms.alpha
    return refuted

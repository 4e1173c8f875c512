"""The evidence of a sequential test: e-processes of a bounded mean, and their interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_llmsafety.errors import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from pytest_llmsafety.stats.units import FloatArray

WITHIN, BEYOND = 1.0, -1.0
"""The two alternatives of a test: the mean is below the margin, or above it."""

_HORIZONS = ((1, 0.7), (3, 0.15), (10, 0.15))
_LARGEST_LOSS = 0.9
_NO_ROOM = 1e-9
_CELLS = 128
_PASSES = 2


@dataclass(frozen=True)
class Design:
    """What is known of a sequential test before its first unit.

    `support` is the range (lo, hi) of a delta; `n_max` the most units that will be seen;
    `finite` whether these n_max units are all there are (drawn without replacement) or a sample.
    `mean_size` and `max_size` describe the units of the whole suite. `horizons` are the
    parts of n_max at which the bets aim (1 / first number), and their shares of the stake.

    Raises:
        StatisticsError: n_max or sizes that no suite has.

    """

    support: tuple[float, float]
    n_max: int
    alpha: float
    finite: bool = False
    mean_size: float = 1.0
    max_size: float = 1.0
    horizons: tuple[tuple[int, float], ...] = _HORIZONS

    def __post_init__(self) -> None:
        """Check the numbers of units and their sizes."""
        if self.n_max < 1 or not 0 < self.mean_size <= self.max_size < np.inf:
            msg = (
                f"n_max is {self.n_max}, mean_size {self.mean_size:g}, max_size {self.max_size:g}. "
                "Expected at least one unit and 0 < mean_size <= max_size. Take all three from "
                "the whole suite."
            )
            raise StatisticsError(msg)


class EProcess:
    """E-values against "the mean of S_c - margin * n_c is not below 0", for many tests at once.

    The e-value is what fair bets against this null would have made of a stake of 1. If the null
    holds and units come in random order, it exceeds 1 / alpha at any unit with probability alpha
    at most (Ville 1939). Three bets share the stake, .7, .15 and .15, and aim at n_max, n_max / 3
    and n_max / 10 units. Each stakes what would bring it to its goal by its horizon if the spread
    stayed as it is (STaR: Voracek and Orabona 2025, arXiv 2505.22422), and never more than nine
    tenths of what the worst unit could take. In a finite suite the null mean of the units still to
    come follows from those seen (Waudby-Smith and Ramdas 2020, arXiv 2006.04347, and 2024, arXiv
    2010.09686).

    Args:
        design: what is known beforehand.
        margins: one for each test of the batch.
        sides: WITHIN or BEYOND for each test, of a shape that broadcasts with `margins`.
        shape: of the batch, when it is larger than these two make it (replicates).

    """

    def __init__(
        self, design: Design, margins: ArrayLike, sides: ArrayLike, shape: Sequence[int] = ()
    ) -> None:
        """Start each test with a stake of 1."""
        (lo, hi), ratio = design.support, design.max_size / design.mean_size
        self._design = design
        self._margins, self._sides = np.asarray(margins, float), np.asarray(sides, float)
        up, down = hi - self._margins, self._margins - lo
        self._above = np.where(self._sides > 0, up, down)
        self._below = np.where(self._sides > 0, down, up)
        self._most = self._above * ratio
        self._horizons = np.array([max(design.n_max // part, 1) for part, _ in design.horizons])
        self._log_shares = np.log([share for _, share in design.horizons])
        self._goals = -np.log(design.alpha) - self._log_shares
        middle = 0.0 if lo <= 0 <= hi else (lo + hi) / 2
        self._guess = self._sides * (middle - self._margins)
        self._variance_guess = ((hi - lo) / 4) ** 2
        batch = np.broadcast_shapes(self._margins.shape, self._sides.shape, tuple(shape))
        self._log = np.zeros((*batch, len(design.horizons)))
        self._sum, self._squares = np.zeros(batch), np.zeros(batch)
        self._variance = np.full(batch, self._variance_guess)
        self._seen = np.zeros(())
        self.largest = np.zeros(batch)
        self.n = 0

    def add(self, total: FloatArray | float, size: FloatArray | float = 1.0) -> None:
        """Add one more unit (of each replicate): its S_c and its n_c."""
        design = self._design
        gain = self._sides * (total - self._margins * size) / design.mean_size
        expected = -self._sum / (design.n_max - self.n) if design.finite else 0.0
        self._bet(gain - expected, self._most - expected)
        self.n += 1
        self._seen = self._seen + size
        self._sum = self._sum + gain
        mean = (self._guess + self._sum) / (self.n + 1)
        self._squares = self._squares + (gain - mean) ** 2
        self._variance = (self._variance_guess + self._squares) / (self.n + 1)

    def look(self) -> FloatArray:
        """Return the e-values now, and keep the largest of all looks in `largest`."""
        now = self.e
        self.largest = np.maximum(self.largest, now)
        return now

    @property
    def e(self) -> FloatArray:
        """The e-values now; infinite, or 0, where arithmetic is certain."""
        found: FloatArray = np.exp(self._log + self._log_shares).sum(-1)
        design = self._design
        if not design.finite:
            return found
        left = (design.n_max * design.mean_size - self._seen) / design.mean_size
        slack = _NO_ROOM * max(design.n_max - self.n, 1)
        shown = self._sum + self._above * left < -slack
        refuted = self._sum - self._below * left > slack
        return np.where(shown, np.inf, np.where(refuted, 0.0, found))

    def _bet(self, surprise: FloatArray, room: FloatArray) -> None:
        """Choose each stake from the units before this one only, and apply this one."""
        still = int((self._horizons > self.n).sum())
        log = self._log[..., :still]
        missing = np.maximum(self._goals[:still] - log, 0.0)
        left = self._horizons[:still] - self.n
        stake = np.sqrt(2 * missing / (left * self._variance[..., None]))
        most = _LARGEST_LOSS / np.where(room > _NO_ROOM, room, np.inf)
        log += np.log1p(-np.minimum(stake, most[..., None]) * surprise[..., None])


class Path(NamedTuple):
    """The units in their random order, and the numbers of units after which the test looked."""

    totals: FloatArray
    sizes: FloatArray
    looks: frozenset[int]


def confidence_sequence(design: Design, path: Path) -> tuple[float, float]:
    """Return the lower and the upper 1 - alpha bound, right at all looks at once.

    The upper bound is the largest margin whose WITHIN test has not refuted its null at any look,
    the lower the smallest whose BEYOND test has not. All margins of a grid are tried at once, then
    those between the last that stands and the next: each bound is at most 1/16,384 of the
    support's width too far out.
    """
    upper_cell = lower_cell = design.support
    for _ in range(_PASSES):
        upper_grid, lower_grid = _inside(upper_cell), _inside(lower_cell)
        refuted = _refuted(design, path, np.stack([upper_grid, lower_grid]))
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


def _refuted(design: Design, path: Path, margins: FloatArray) -> NDArray[np.bool_]:
    """Return (2, margins) whether a look has refuted each margin: as WITHIN, as BEYOND."""
    process = EProcess(design, margins, [[WITHIN], [BEYOND]])
    for total, size in zip(path.totals, path.sizes, strict=True):
        process.add(total, size)
        if process.n in path.looks:
            process.look()
    refuted: NDArray[np.bool_] = process.largest >= 1 / design.alpha
    return refuted

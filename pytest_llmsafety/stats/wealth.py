"""The wealth of bets that a bounded mean is below a margin: the evidence of a sequential test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_llmsafety.errors import StatisticsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from pytest_llmsafety.stats.saddlepoint import FloatArray

WITHIN, BEYOND = 1.0, -1.0
"""What the bets are on: that the mean is below the margin, or above it."""

_HORIZONS = ((1, 0.7), (3, 0.15), (10, 0.15))
_LARGEST_LOSS = 0.9
_NO_ROOM = 1e-9


@dataclass(frozen=True)
class Terms:
    """What is known before the first bet.

    `support` is the range (lo, hi) of a delta; `n_max` the most units that will be seen;
    `finite` whether these n_max units are all there are (drawn without replacement) or a sample.
    `mean_size` and `max_size` are those of the units of the whole suite. `horizons` are the
    parts of n_max at which the ladders aim (1 / first number), and their shares of the stake.
    """

    support: tuple[float, float]
    n_max: int
    alpha: float
    finite: bool = False
    mean_size: float = 1.0
    max_size: float = 1.0
    horizons: tuple[tuple[int, float], ...] = _HORIZONS

    def __post_init__(self) -> None:
        """Refuse numbers of units and sizes that no suite has."""
        if self.n_max < 1 or not 0 < self.mean_size <= self.max_size < np.inf:
            msg = (
                f"n_max is {self.n_max}, mean_size {self.mean_size:g}, max_size {self.max_size:g}. "
                "Expected at least one unit and 0 < mean_size <= max_size. Take all three from "
                "the whole suite."
            )
            raise StatisticsError(msg)


class Wealth:
    """Wealth against "the mean of S_c - margin * n_c is not below 0", for a batch of bets at once.

    Someone who believes in that null and offers fair bets on each unit, in random order, loses
    more than 1 / alpha times the stake with probability alpha at most, at whatever unit one
    stops (Ville 1939): `e` is that wealth. Three ladders share the stake, .7, .15 and .15, and
    aim at n_max, n_max / 3 and n_max / 10 units. Each stakes what would bring it to its goal by
    its horizon if the spread stayed as it is (STaR: Voracek and Orabona 2025, arXiv 2505.22422),
    never more than nine tenths of what the worst unit could take. In a finite suite the null mean
    of the units still to come follows from those seen (Waudby-Smith and Ramdas 2020, arXiv
    2006.04347, and 2024, arXiv 2010.09686).

    Args:
        terms: what is known beforehand.
        margins: one for each bet of the batch.
        sides: WITHIN or BEYOND for each bet, of a shape that broadcasts with `margins`.
        shape: of the batch, when it is larger than these two make it (replicates).

    """

    def __init__(
        self, terms: Terms, margins: ArrayLike, sides: ArrayLike, shape: Sequence[int] = ()
    ) -> None:
        """Start with a stake of 1 on each bet."""
        (lo, hi), ratio = terms.support, terms.max_size / terms.mean_size
        self._terms = terms
        self._margins, self._sides = np.asarray(margins, float), np.asarray(sides, float)
        up, down = hi - self._margins, self._margins - lo
        self._above = np.where(self._sides > 0, up, down)
        self._below = np.where(self._sides > 0, down, up)
        self._most = self._above * ratio
        self._horizons = np.array([max(terms.n_max // part, 1) for part, _ in terms.horizons])
        self._log_shares = np.log([share for _, share in terms.horizons])
        self._goals = -np.log(terms.alpha) - self._log_shares
        middle = 0.0 if lo <= 0 <= hi else (lo + hi) / 2
        self._guess = self._sides * (middle - self._margins)
        self._variance_guess = ((hi - lo) / 4) ** 2
        batch = np.broadcast_shapes(self._margins.shape, self._sides.shape, tuple(shape))
        self._log = np.zeros((*batch, len(terms.horizons)))
        self._sum, self._squares = np.zeros(batch), np.zeros(batch)
        self._variance = np.full(batch, self._variance_guess)
        self._seen = np.zeros(())
        self.largest = np.zeros(batch)
        self.n = 0

    def add(self, total: FloatArray | float, size: FloatArray | float = 1.0) -> None:
        """Settle the bets on one more unit (of each replicate): its S_c and its n_c."""
        terms = self._terms
        gain = self._sides * (total - self._margins * size) / terms.mean_size
        expected = -self._sum / (terms.n_max - self.n) if terms.finite else 0.0
        self._settle(gain - expected, self._most - expected)
        self.n += 1
        self._seen = self._seen + size
        self._sum = self._sum + gain
        mean = (self._guess + self._sum) / (self.n + 1)
        self._squares = self._squares + (gain - mean) ** 2
        self._variance = (self._variance_guess + self._squares) / (self.n + 1)

    def look(self) -> FloatArray:
        """Return the wealth now, and keep the largest of all looks."""
        now = self.e
        self.largest = np.maximum(self.largest, now)
        return now

    @property
    def e(self) -> FloatArray:
        """The wealth now, from a stake of 1; infinite, or 0, where arithmetic is certain."""
        wealth: FloatArray = np.exp(self._log + self._log_shares).sum(-1)
        terms = self._terms
        if not terms.finite:
            return wealth
        left = (terms.n_max * terms.mean_size - self._seen) / terms.mean_size
        slack = _NO_ROOM * max(terms.n_max - self.n, 1)
        shown = self._sum + self._above * left < -slack
        refuted = self._sum - self._below * left > slack
        return np.where(shown, np.inf, np.where(refuted, 0.0, wealth))

    def _settle(self, surprise: FloatArray, room: FloatArray) -> None:
        """Place the stakes, from the units before this one only, and pay them out."""
        still = int((self._horizons > self.n).sum())
        log = self._log[..., :still]
        missing = np.maximum(self._goals[:still] - log, 0.0)
        left = self._horizons[:still] - self.n
        stake = np.sqrt(2 * missing / (left * self._variance[..., None]))
        most = _LARGEST_LOSS / np.where(room > _NO_ROOM, room, np.inf)
        log += np.log1p(-np.minimum(stake, most[..., None]) * surprise[..., None])

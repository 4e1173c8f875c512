"""The sequential decision for one change: stop as soon as it is certain enough."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats.blocks import Blocks
from pytest_llmsafety.stats.decide import with_plan
from pytest_llmsafety.stats.decision import Decision
from pytest_llmsafety.stats.gate import Gate, check_support
from pytest_llmsafety.stats.outcome import Outcome
from pytest_llmsafety.stats.reason import explain, explain_stop
from pytest_llmsafety.stats.sequence import confidence_sequence
from pytest_llmsafety.stats.units import ROUNDING
from pytest_llmsafety.stats.unseen import from_support
from pytest_llmsafety.stats.wealth import BEYOND, WITHIN, Terms, Wealth

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(kw_only=True, eq=False)
class Ladder:
    """Two one-sided tests of a bounded mean, with a look after every block of units.

    Give it the units in a random order that was drawn before any was measured, and stop at the
    first outcome that is not INCONCLUSIVE: it is final. A false PASS and a false FAIL have a
    chance of at most 1 - confidence each, over all looks together (`Wealth` says why). The same
    blocks always give the same outcome; other blocks have other looks and may stop elsewhere,
    so they must not depend on how many items fit a batch.

    Where units differ in size, all sizes have to be known before the first unit is measured. In
    the population scope the proof then asks that each size be without a change at the margin.

    Args:
        margin: largest acceptable mean, > 0, inside the support; PASS shows less.
        n_max: units of the suite: the most that `update` may be given.
        support: range (lo, hi) of one delta: (-1, 1) for scores from 0 to 1.
        confidence: of each one-sided test, between .5 and 1.
        scope: `population` (new units of this kind: the n_max units are a sample) or `suite`
            (these n_max units and no others: all of them seen, arithmetic decides).
        fail_margin: FAIL shows more than this; the margin when None, and never below it.
        mean_size: mean size of the n_max units.
        max_size: size of the largest of them.

    Raises:
        StatisticsError: a margin, support, confidence, scope, n_max or size that makes no sense.

    """

    margin: float
    n_max: int
    support: tuple[float, float] = (-1.0, 1.0)
    confidence: float = 0.95
    scope: str = "population"
    fail_margin: float | None = None
    mean_size: float = 1.0
    max_size: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a question without an answer; start with a stake of 1 on either side."""
        self._gate = Gate(self.margin, self.confidence, self.scope)
        self._limit = self.margin if self.fail_margin is None else self.fail_margin
        for margin in (self.margin, self._limit):
            check_support(self.support, margin)
        if self._limit < self.margin:
            msg = (
                f"fail_margin is {self._limit:g}, below the margin {self.margin:g}. Expected at "
                "least the margin, or one change could pass and fail. Raise it or leave it out."
            )
            raise StatisticsError(msg)
        self._terms = Terms(
            self.support,
            n_max=self.n_max,
            alpha=self._gate.alpha,
            finite=self.scope == "suite",
            mean_size=self.mean_size,
            max_size=self.max_size,
        )
        self._blocks = Blocks(self._terms)
        self._wealth = Wealth(self._terms, [self.margin, self._limit], [WITHIN, BEYOND])
        self._outcome = Outcome.INCONCLUSIVE

    def update(
        self, totals: ArrayLike, sizes: ArrayLike | None = None, *, items: ArrayLike | None = None
    ) -> Outcome:
        """Take one block of units, in their random order, and look.

        Args:
            totals: (units,) S_c, sum of the oriented deltas of a unit; larger is worse.
            sizes: (units,) n_c > 0, what S_c is a sum over; 1 each when None.
            items: deltas of the single items of these units, only counted as worse or better;
                the units count when None.

        Returns:
            The outcome after this look. Units that are given after a verdict only sharpen the
            numbers, except that arithmetic takes over once a whole suite was seen.

        Raises:
            StatisticsError: NaN, empty, mismatched or out-of-support values, sizes other than
                announced, more than n_max units in all. Nothing is taken then.

        """
        values, weights = self._blocks.add(totals, sizes, items)
        for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
            self._wealth.add(value, weight)
        self._wealth.look()
        if self._outcome is Outcome.INCONCLUSIVE or self._census:
            self._outcome = self._judge()
        return self._outcome

    @property
    def n(self) -> int:
        """Units seen so far."""
        return self._blocks.n

    @property
    def outcome(self) -> Outcome:
        """The first decisive outcome, or INCONCLUSIVE."""
        return self._outcome

    @property
    def p_pass(self) -> float:
        """P-value against "at least the margin", right at all looks at once."""
        return self._p_values()[0]

    @property
    def p_fail(self) -> float:
        """P-value against "at most the fail margin", right at all looks at once."""
        return self._p_values()[1]

    @property
    def e_fail(self) -> float:
        """The wealth of the bets on FAIL at this moment, as `e_holm` takes it."""
        if self._census:
            return math.inf if self.p_fail == 0 else 0.0
        return float(self._wealth.e[1])

    def decision(self) -> Decision:
        """Return the outcome so far with all the numbers behind it.

        Its interval is found here and nowhere else: what was seen is gone through twice, for 254
        margins at once, which took 0.1 s after 2,000 units and 0.6 s after 10,000.

        Raises:
            StatisticsError: nothing was seen yet.

        """
        units = self._blocks.units()
        p_pass, p_fail = self._p_values()
        lower, upper = self._interval(units.estimate)
        decision = Decision(
            self._outcome,
            estimate=units.estimate,
            lower=lower,
            upper=upper,
            p_pass=p_pass,
            p_fail=p_fail,
            margin=self.margin,
            confidence=self.confidence,
            n_items=units.n_items,
            n_units=units.n_units,
            changed_share=(units.n_worse + units.n_better) / units.n_items,
            n_worse=units.n_worse,
            n_better=units.n_better,
            worst_unseen=None if self._terms.finite else self.support[1],
            fail_margin=self.fail_margin,
            sequential=True,
            n_suite=self.n_max,
        )
        if self._outcome is not Outcome.INCONCLUSIVE or self._terms.finite:
            return dataclasses.replace(decision, reason=explain_stop(decision, self.scope))
        unseen = from_support(units, self.support)
        reason = explain(units, self._gate, unseen, (self._outcome, p_pass, p_fail))
        return with_plan(dataclasses.replace(decision, reason=reason), units, unseen)

    @property
    def _census(self) -> bool:
        return self._terms.finite and self.n == self.n_max

    def _judge(self) -> Outcome:
        """Return what the evidence of all looks says."""
        p_pass, p_fail = self._p_values()
        if p_pass <= self._gate.alpha:
            return Outcome.PASS
        return Outcome.FAIL if p_fail <= self._gate.alpha else Outcome.INCONCLUSIVE

    def _p_values(self) -> tuple[float, float]:
        """Return 1 / the largest wealth of either side; 0 or 1 when a whole suite was seen."""
        if self._census:
            estimate, rounding = self._blocks.units().estimate, ROUNDING * self.margin
            within, beyond = estimate <= self.margin + rounding, estimate > self._limit + rounding
            return float(not within), float(not beyond)
        p_pass, p_fail = (1 / np.maximum(self._wealth.largest, 1.0)).tolist()
        return p_pass, p_fail

    def _interval(self, estimate: float) -> tuple[float, float]:
        """Return the bounds, each on that side of its margin which the outcome says."""
        if self._census:
            return estimate, estimate
        lower, upper = confidence_sequence(self._terms, self._blocks.path())
        if self._outcome is Outcome.PASS:
            upper = min(upper, math.nextafter(self.margin, -math.inf))
        else:
            upper = max(upper, self.margin)
        if self._outcome is Outcome.FAIL:
            lower = max(lower, math.nextafter(self._limit, math.inf))
        else:
            lower = min(lower, self._limit)
        return lower, upper

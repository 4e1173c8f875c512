"""The stopping rule: a decision that ends as soon as it is certain enough."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats.criterion import Criterion, check_support
from pytest_llmsafety.stats.decision import Outcome
from pytest_llmsafety.stats.e_process import (
    BEYOND,
    WITHIN,
    Design,
    EProcess,
    Path,
    confidence_sequence,
)
from pytest_llmsafety.stats.fixed_sample import Shown, check_inside, decision_of, with_plan
from pytest_llmsafety.stats.groups import joint, members_of
from pytest_llmsafety.stats.multiple_testing import e_holm
from pytest_llmsafety.stats.reasons import explain, explain_stop
from pytest_llmsafety.stats.units import CHANGED, ROUNDING, Units, finite_array, same_length
from pytest_llmsafety.stats.unseen import from_support

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

    from pytest_llmsafety.stats.decision import Decision
    from pytest_llmsafety.stats.groups import GroupDecision, GroupLabels
    from pytest_llmsafety.stats.units import FloatArray


@dataclass(kw_only=True, eq=False)
class SequentialTest:
    """Two one-sided tests of a bounded mean, with a look after every block of units.

    Give it the units in a random order that was drawn before any was measured, and stop at the
    first outcome that is not INCONCLUSIVE: it is final. A false PASS and a false FAIL have a
    chance of at most 1 - confidence each, over all looks together (`EProcess` says why). The same
    blocks always give the same outcome. Other blocks have other looks and may stop elsewhere,
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
        """Check the arguments, and start with no unit seen."""
        self._criterion = Criterion(self.margin, self.confidence, self.scope)
        self._limit = self.margin if self.fail_margin is None else self.fail_margin
        for margin in (self.margin, self._limit):
            check_support(self.support, margin)
        if self._limit < self.margin:
            msg = (
                f"fail_margin is {self._limit:g}, below the margin {self.margin:g}. Expected at "
                "least the margin, or one change could pass and fail. Raise it or leave it out."
            )
            raise StatisticsError(msg)
        self._design = Design(
            self.support,
            n_max=self.n_max,
            alpha=self._criterion.alpha,
            finite=self.scope == "suite",
            mean_size=self.mean_size,
            max_size=self.max_size,
        )
        self._blocks = _Blocks(self._design)
        self._process = EProcess(self._design, [self.margin, self._limit], [WITHIN, BEYOND])
        self._outcome = Outcome.INCONCLUSIVE

    def update(
        self, totals: ArrayLike, sizes: ArrayLike | None = None, *, items: ArrayLike | None = None
    ) -> Outcome:
        """Add one block of units, in their random order, and look.

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
                announced, more than n_max units in all. The block is then not added.

        """
        values, weights = self._blocks.add(totals, sizes, items)
        for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
            self._process.add(value, weight)
        self._process.look()
        if self._outcome is Outcome.INCONCLUSIVE or self._all_seen:
            self._outcome = self._decide()
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
        """The e-value of FAIL at this moment, for `e_holm`."""
        if self._all_seen:
            return math.inf if self.p_fail == 0 else 0.0
        return float(self._process.e[1])

    def decision(self) -> Decision:
        """Return the outcome so far with all the numbers behind it.

        The interval is computed here only: all units seen are added again, twice, for 254
        margins at once. That took 0.1 s after 2,000 units and 0.6 s after 10,000.

        Raises:
            StatisticsError: no unit was seen yet.

        """
        units = self._blocks.units()
        p_pass, p_fail = self._p_values()
        shown = Shown(p_pass, p_fail, *self._interval(units.estimate))
        decision = dataclasses.replace(
            decision_of(units, self._criterion, self._outcome, shown),
            worst_unseen=None if self._design.finite else self.support[1],
            fail_margin=self.fail_margin,
            sequential=True,
            n_suite=self.n_max,
        )
        if self._outcome is not Outcome.INCONCLUSIVE or self._design.finite:
            return dataclasses.replace(decision, reasons=explain_stop(decision, self.scope))
        unseen = from_support(units, self.support)
        reasons = explain(units, self._criterion, unseen, (self._outcome, p_pass, p_fail))
        return with_plan(dataclasses.replace(decision, reasons=reasons), units, unseen)

    @property
    def _all_seen(self) -> bool:
        return self._design.finite and self.n == self.n_max

    def _decide(self) -> Outcome:
        """Apply the stopping rule to the evidence of all looks."""
        p_pass, p_fail = self._p_values()
        if p_pass <= self._criterion.alpha:
            return Outcome.PASS
        return Outcome.FAIL if p_fail <= self._criterion.alpha else Outcome.INCONCLUSIVE

    def _p_values(self) -> tuple[float, float]:
        """Return 1 / the largest e-value of either side; 0 or 1 when a whole suite was seen."""
        if self._all_seen:
            estimate, rounding = self._blocks.units().estimate, ROUNDING * self.margin
            within, beyond = estimate <= self.margin + rounding, estimate > self._limit + rounding
            return float(not within), float(not beyond)
        p_pass, p_fail = (1 / np.maximum(self._process.largest, 1.0)).tolist()
        return p_pass, p_fail

    def _interval(self, estimate: float) -> tuple[float, float]:
        """Return the bounds, each on that side of its margin which the outcome says."""
        if self._all_seen:
            return estimate, estimate
        lower, upper = confidence_sequence(self._design, self._blocks.path())
        if self._outcome is Outcome.PASS:
            upper = min(upper, math.nextafter(self.margin, -math.inf))
        else:
            upper = max(upper, self.margin)
        if self._outcome is Outcome.FAIL:
            lower = max(lower, math.nextafter(self._limit, math.inf))
        else:
            lower = min(lower, self._limit)
        return lower, upper


class GroupSequentialTest:
    """A `SequentialTest` for each group, and one outcome for all, with a look after every block.

    PASS: every group's own outcome is PASS, each at `confidence` (intersection-union needs no
    correction). FAIL: at some look `e_holm` over all groups rejects that a group is within the
    margin. The first of the two is final. In the suite scope a group of which all items were seen
    is decided by arithmetic.

    Args:
        sizes: items of each group in the whole suite, >= 1; an item of two groups counts in both.
        margin: largest acceptable mean of any group.
        support: range (lo, hi) of one delta.
        confidence: of each one-sided test, between .5 and 1.
        scope: `population` or `suite`, as in `SequentialTest`.
        fail_margin: FAIL shows more than this; the margin when None.

    Raises:
        StatisticsError: no group, or what `SequentialTest` refuses.

    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        *,
        margin: float,
        support: tuple[float, float] = (-1.0, 1.0),
        confidence: float = 0.95,
        scope: str = "population",
        fail_margin: float | None = None,
    ) -> None:
        """Start a test for each group."""
        self._criterion, self._support = Criterion(margin, confidence, scope), support
        if not sizes:
            msg = (
                "no group was given. Expected at least one group and its size. Use SequentialTest."
            )
            raise StatisticsError(msg)
        self._tests = {
            name: SequentialTest(
                margin=margin,
                n_max=sizes[name],
                support=support,
                confidence=confidence,
                scope=scope,
                fail_margin=fail_margin,
            )
            for name in sorted(sizes)
        }
        self._failed: frozenset[str] = frozenset()
        self._outcome = Outcome.INCONCLUSIVE

    def update(self, values: ArrayLike, groups: GroupLabels) -> Outcome:
        """Add one block of items, in their random order, and look.

        Args:
            values: (items,) oriented deltas, larger = worse.
            groups: (items,) a name, or a sequence of names; an item without any is left out.

        Raises:
            StatisticsError: NaN, empty or out-of-support values, a group that was not announced
                or has more items than announced. The block is then not added.

        """
        deltas = finite_array("values", values)
        check_inside(deltas, self._support)
        members = members_of(groups, deltas.size)
        for name, rows in members.items():
            self._check(name, len(rows))
        for name, rows in members.items():
            self._tests[name].update(deltas[rows])
        if self._outcome is Outcome.INCONCLUSIVE:
            self._outcome = self._decide()
        return self._outcome

    @property
    def outcome(self) -> Outcome:
        """The first decisive outcome of all groups together, or INCONCLUSIVE."""
        return self._outcome

    def decision(self) -> GroupDecision:
        """Return the joint outcome so far; a group without any item seen yet has no decision.

        It costs one interval for each group: see `SequentialTest.decision`.

        Raises:
            StatisticsError: no item of any group was seen yet.

        """
        seen = {name: test for name, test in self._tests.items() if test.n}
        if not seen:
            msg = "no item of any group was seen yet. Expected a block first. Call update."
            raise StatisticsError(msg)
        decisions = {name: test.decision() for name, test in seen.items()}
        unseen = tuple(name for name in self._tests if name not in seen)
        found = joint(decisions, self._criterion, self._failed, rule="e-Holm", unseen=unseen)
        return dataclasses.replace(found, p_fail=self._p_fail())

    def _p_fail(self) -> float:
        """Return the smallest p-value times the number of groups; alpha at most after a FAIL."""
        smallest = min(test.p_fail for test in self._tests.values())
        p_fail = min(1.0, smallest * len(self._tests))
        return min(p_fail, self._criterion.alpha) if self._failed else p_fail

    def _decide(self) -> Outcome:
        """Apply the stopping rule to all groups together."""
        e_values = {name: test.e_fail for name, test in self._tests.items()}
        self._failed = e_holm(e_values, self._criterion.alpha)
        if self._failed:
            return Outcome.FAIL
        passed = all(test.outcome is Outcome.PASS for test in self._tests.values())
        return Outcome.PASS if passed else Outcome.INCONCLUSIVE

    def _check(self, name: str, n_more: int) -> None:
        test = self._tests.get(name)
        if test is None:
            known = ", ".join(self._tests)
            msg = f"unknown group '{name}'. Known: {known}. Announce every group with its size."
            raise StatisticsError(msg)
        if test.n + n_more > test.n_max:
            msg = (
                f"group '{name}' has {test.n + n_more} items. Expected at most the "
                f"{test.n_max} that were announced. Count the items of the whole suite."
            )
            raise StatisticsError(msg)


class _Blocks:
    """All units seen so far; the numbers of units after each block are the looks."""

    def __init__(self, design: Design) -> None:
        self._design = design
        self._totals: list[FloatArray] = []
        self._sizes: list[FloatArray] = []
        self._looks: list[int] = []
        self._counts = np.zeros(3, int)
        self._size = 0.0

    @property
    def n(self) -> int:
        return self._looks[-1] if self._looks else 0

    def add(
        self, totals: ArrayLike, sizes: ArrayLike | None, items: ArrayLike | None
    ) -> tuple[FloatArray, FloatArray]:
        """Return the checked totals and sizes of one more block; see `SequentialTest.update`."""
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
        """Return all units for a fixed-n decision; StatisticsError when there are none."""
        if not self._looks:
            msg = "no unit was seen yet. Expected a block before a decision. Call update first."
            raise StatisticsError(msg)
        n_items, n_worse, n_better = self._counts.tolist()
        path = self.path()
        clustered = n_items > self.n
        return Units(path.totals, path.sizes, n_items, n_worse, n_better, clustered=clustered)

    def path(self) -> Path:
        totals, sizes = np.concatenate(self._totals), np.concatenate(self._sizes)
        return Path(totals, sizes, frozenset(self._looks))

    def _check(self, totals: FloatArray, sizes: FloatArray) -> None:
        """Refuse a block that the design did not announce."""
        design, n = self._design, self.n + totals.size
        if n > design.n_max:
            msg = (
                f"{n} units were given. Expected at most n_max = {design.n_max}: the test was "
                "planned for so many. Stop there, or start again with the right n_max."
            )
            raise StatisticsError(msg)
        whole, size = design.n_max * design.mean_size, self._size + float(sizes.sum())
        off = size - whole if n < design.n_max else abs(size - whole)
        largest = design.max_size * (1 + ROUNDING)
        if sizes.min() <= 0 or sizes.max() > largest or off > ROUNDING * whole:
            msg = (
                f"sizes run from {sizes.min():g} to {sizes.max():g} and sum to {size:g} after {n} "
                f"of {design.n_max} units. Expected sizes above 0, at most max_size = "
                f"{design.max_size:g}, that sum to n_max * mean_size = {whole:g} in the end. Take "
                "both from the whole suite."
            )
            raise StatisticsError(msg)
        check_inside(totals / sizes, design.support)

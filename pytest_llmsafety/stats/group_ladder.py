"""The sequential decision for the worst group."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats.decide import check_inside
from pytest_llmsafety.stats.gate import Gate
from pytest_llmsafety.stats.groups import joint, members_of
from pytest_llmsafety.stats.holm import e_holm
from pytest_llmsafety.stats.ladder import Ladder
from pytest_llmsafety.stats.outcome import Outcome
from pytest_llmsafety.stats.units import finite_array

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

    from pytest_llmsafety.stats.groups import GroupDecision, GroupLabels


class GroupLadder:
    """A `Ladder` for each group, and one outcome for all, with a look after every block of items.

    PASS: every group's own outcome is PASS, each at `confidence` (intersection-union needs no
    correction). FAIL: the wealth of the bets that some group is beyond the margin survives
    `e_holm` over all groups at some look. The first of the two is final. In the suite scope a
    group of which all items were seen is decided by arithmetic.

    Args:
        sizes: items of each group in the whole suite, >= 1; an item of two groups counts in both.
        margin: largest acceptable mean of any group.
        support: range (lo, hi) of one delta.
        confidence: of each one-sided test, between .5 and 1.
        scope: `population` or `suite`, as in `Ladder`.
        fail_margin: FAIL shows more than this; the margin when None.

    Raises:
        StatisticsError: no group, or what `Ladder` refuses.

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
        """Start a ladder for each group."""
        self._gate, self._support = Gate(margin, confidence, scope), support
        if not sizes:
            msg = "no group was given. Expected at least one group and its size. Use Ladder."
            raise StatisticsError(msg)
        self._ladders = {
            name: Ladder(
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
        """Take one block of items, in their random order, and look.

        Args:
            values: (items,) oriented deltas, larger = worse.
            groups: (items,) a name, or a sequence of names; an item without any is left out.

        Raises:
            StatisticsError: NaN, empty or out-of-support values, a group that was not announced
                or has more items than announced. Nothing is taken then.

        """
        deltas = finite_array("values", values)
        check_inside(deltas, self._support)
        members = members_of(groups, deltas.size)
        for name, rows in members.items():
            self._check(name, len(rows))
        for name, rows in members.items():
            self._ladders[name].update(deltas[rows])
        if self._outcome is Outcome.INCONCLUSIVE:
            self._outcome = self._judge()
        return self._outcome

    @property
    def outcome(self) -> Outcome:
        """The first decisive outcome of all groups together, or INCONCLUSIVE."""
        return self._outcome

    def decision(self) -> GroupDecision:
        """Return the joint outcome so far; a group without any item seen yet has no decision.

        It costs one interval for each group: see `Ladder.decision`.

        Raises:
            StatisticsError: no item of any group was seen yet.

        """
        seen = {name: ladder for name, ladder in self._ladders.items() if ladder.n}
        if not seen:
            msg = "no item of any group was seen yet. Expected a block first. Call update."
            raise StatisticsError(msg)
        decisions = {name: ladder.decision() for name, ladder in seen.items()}
        unseen = tuple(name for name in self._ladders if name not in seen)
        found = joint(decisions, self._gate, self._failed, rule="e-Holm", unseen=unseen)
        return dataclasses.replace(found, p_fail=self._p_fail())

    def _p_fail(self) -> float:
        """Return the smallest p-value times the number of groups; alpha at most after a FAIL."""
        smallest = min(ladder.p_fail for ladder in self._ladders.values())
        p_fail = min(1.0, smallest * len(self._ladders))
        return min(p_fail, self._gate.alpha) if self._failed else p_fail

    def _judge(self) -> Outcome:
        """Return what this look decides."""
        e_values = {name: ladder.e_fail for name, ladder in self._ladders.items()}
        self._failed = e_holm(e_values, self._gate.alpha)
        if self._failed:
            return Outcome.FAIL
        passed = all(ladder.outcome is Outcome.PASS for ladder in self._ladders.values())
        return Outcome.PASS if passed else Outcome.INCONCLUSIVE

    def _check(self, name: str, n_more: int) -> None:
        """Refuse items of a group that were not announced."""
        ladder = self._ladders.get(name)
        if ladder is None:
            known = ", ".join(self._ladders)
            msg = f"unknown group '{name}'. Known: {known}. Announce every group with its size."
            raise StatisticsError(msg)
        if ladder.n + n_more > ladder.n_max:
            msg = (
                f"group '{name}' has {ladder.n + n_more} items. Expected at most the "
                f"{ladder.n_max} that were announced. Count the items of the whole suite."
            )
            raise StatisticsError(msg)

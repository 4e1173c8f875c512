"""What is asked of each group: its mean delta, alone, against the rest or against each other."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats.census import census
from pytest_llmsafety.stats.contrast import Contrast, Side
from pytest_llmsafety.stats.decide import Shown, check_inside, conclude
from pytest_llmsafety.stats.gate import Gate, check_support
from pytest_llmsafety.stats.outcome import Outcome
from pytest_llmsafety.stats.units import CHANGED, Units, cluster_codes, finite_array, same_length
from pytest_llmsafety.stats.unseen import FEWEST_ASKED, MIN_CLUSTERS, Unseen, of_clusters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from pytest_llmsafety.stats.decision import Decision
    from pytest_llmsafety.stats.saddlepoint import FloatArray
    from pytest_llmsafety.stats.units import Labels

    Rows = NDArray[np.int64]

CONTRASTS = {"worst": "groups", "rest": "groups against the rest", "pairs": "ordered pairs"}
"""The contrasts that `decide_groups` knows, and what each looks at."""


def hypotheses(groups: Mapping[str, list[int]], n_items: int, contrast: str) -> dict[str, Sides]:
    """Return, by name, the items of each mean and those of what it is compared with.

    Raises:
        StatisticsError: an unknown contrast, a group with no rest, or a single group for pairs.

    """
    rows = {name: np.array(members, dtype=np.int64) for name, members in groups.items()}
    if contrast == "worst":
        return {name: Sides(name, own) for name, own in rows.items()}
    if contrast == "rest":
        whole = [name for name, own in rows.items() if own.size == n_items]
        if whole:
            msg = (
                f"every item is in the group {whole[0]}, so there is no rest. Expected items "
                "outside of each group. Leave the group out, or use the contrast 'worst'."
            )
            raise StatisticsError(msg)
        everyone = np.arange(n_items)
        return {
            name: Sides(name, own, "the rest", np.delete(everyone, own))
            for name, own in rows.items()
        }
    if contrast == "pairs":
        if len(rows) == 1:
            msg = (
                f"only the group {next(iter(rows))}. Expected two at least to compare in pairs. "
                "Add another group, or use the contrast 'rest' or 'worst'."
            )
            raise StatisticsError(msg)
        return {f"{g} - {h}": Sides(g, rows[g], h, rows[h]) for g in rows for h in rows if g != h}
    msg = f"unknown contrast '{contrast}'. Known: {', '.join(CONTRASTS)}."
    raise StatisticsError(msg)


@dataclass(frozen=True, eq=False)
class Sides:
    """The rows of a mean, and of the mean that is subtracted from it, if any."""

    name: str
    left: Rows
    other: str = ""
    right: Rows | None = None


@dataclass(frozen=True, eq=False)
class Items:
    """(items,) deltas, weights and numbers of their units, checked.

    `worst` is the largest change of an unseen cluster, where the caller says so.
    """

    deltas: FloatArray
    weights: FloatArray
    codes: NDArray[np.int64]
    support: tuple[float, float]
    worst: float | None = None

    @classmethod
    def of(
        cls,
        values: ArrayLike,
        weights: ArrayLike | None,
        clusters: Labels | None,
        support: tuple[float, float],
        worst: float | None = None,
    ) -> Items:
        """Check the arrays. Raises StatisticsError as `make_units` does."""
        deltas = np.asarray(check_inside(values, support), dtype=np.float64)
        sizes = np.ones_like(deltas) if weights is None else finite_array("weights", weights)
        same_length("weights", sizes.size, deltas.size)
        labels = np.arange(deltas.size) if clusters is None else clusters
        return cls(deltas, sizes, cluster_codes(labels, deltas.size), support, worst)

    def pulls(self, sides: Sides) -> FloatArray:
        """(units,) how far each unit pulls the estimate, over all units of the data."""
        left = self.side(sides.left).pulls
        return left if sides.right is None else left - self.side(sides.right).pulls

    def decide(
        self,
        sides: Sides,
        gate: Gate,
        *,
        planned: bool = True,
        bounds: tuple[float, float] | None = None,
    ) -> Decision:
        """Decide whether the difference of two means is within the margin or beyond it.

        Without `planned` an INCONCLUSIVE decision does not say how many units it needs; `bounds`
        are the lower and the upper one where they are known. Both take most of the time.

        Raises:
            StatisticsError: the margin is not inside the range of a difference.

        """
        lo, hi = self.support
        check_support((lo - hi, hi - lo), gate.margin)
        right = np.array([], dtype=np.int64) if sides.right is None else sides.right
        rows = np.union1d(sides.left, right)
        here = self._only(rows)
        own, other = np.searchsorted(rows, sides.left), np.searchsorted(rows, right)
        contrast = Contrast(here.side(own), here.side(other))
        n_units = contrast.left.totals.size
        clustered = n_units < rows.size
        assumption = ""
        if clustered:
            contrast, assumption = self._guarded(contrast, sides, gate)
        worse, better = int((here.deltas > CHANGED).sum()), int((here.deltas < -CHANGED).sum())
        units = contrast.units(rows.size, worse, better, clustered=clustered)
        if gate.scope == "suite":
            return census(units, gate)
        unseen = Unseen(*contrast.reach, assumption, guarded=bool(assumption), fewest=1)
        shown = Shown(
            contrast.p_within(gate.pass_margin),
            contrast.p_beyond(gate.fail_margin),
            *(bounds or (contrast.lower(gate.alpha), contrast.upper(gate.alpha))),
        )
        if clustered:
            shown = _at_most(shown, here.unchanged(own, other), gate)
        decision = conclude(units, gate, unseen, shown, planned=planned)
        if not clustered:
            return decision
        fewest = MIN_CLUSTERS if self.worst is None else FEWEST_ASKED
        return _enough(decision, sides, contrast, fewest)

    def side(self, rows: Rows) -> Side:
        """Totals and sizes by unit of the items in these rows."""
        n_units = int(self.codes.max()) + 1
        codes, weights = self.codes[rows], self.weights[rows]
        totals, sizes = (
            np.bincount(codes, some, minlength=n_units).astype(np.float64)
            for some in (weights * self.deltas[rows], weights)
        )
        return Side(totals, sizes, worst=self.support[1], best=self.support[0])

    def unchanged(self, own: Rows, other: Rows) -> Contrast:
        """Return the contrast of as many independent items without any change."""
        codes = np.arange(self.deltas.size)
        still = Items(np.zeros_like(self.deltas), self.weights, codes, self.support)
        return Contrast(still.side(own), still.side(other))

    def _guarded(self, contrast: Contrast, sides: Sides, gate: Gate) -> tuple[Contrast, str]:
        """Return the contrast with what an unseen cluster of each side may do, and that in words.

        The rule is that of a single mean, by the number of clusters that each side has.
        """
        if ((contrast.left.sizes > 0) & (contrast.right.sizes > 0)).any():
            return _crossing(dataclasses.replace(contrast, crossing=True), sides, gate, self.worst)
        ends = [self._ends(side, gate) for side in (contrast.left, contrast.right)]
        left, right = (
            dataclasses.replace(side, worst=end.worst, best=end.best)
            for side, end in zip((contrast.left, contrast.right), ends, strict=True)
        )
        said = [
            f"by {end.best:+.3g} to {end.worst:+.3g} in {name}"
            for name, end in zip((sides.name, sides.other), ends, strict=True)
            if end.assumption
        ]
        told = f"assumes that an unseen cluster changes {' and '.join(said)}" if said else ""
        return Contrast(left, right), told

    def _ends(self, side: Side, gate: Gate) -> Unseen:
        """Return what an unseen cluster of one side may do."""
        has = side.sizes > 0
        n_units = int(has.sum())
        units = Units(side.totals[has], side.sizes[has], n_units, 0, 0, clustered=True)
        return of_clusters(units, gate, self.support, self.worst)

    def _only(self, rows: Rows) -> Items:
        codes = np.unique(self.codes[rows], return_inverse=True)[1].astype(np.int64)
        return Items(self.deltas[rows], self.weights[rows], codes, self.support)


def _crossing(
    contrast: Contrast, sides: Sides, gate: Gate, worst: float | None
) -> tuple[Contrast, str]:
    """Return the contrast of clusters that hold items of both sides, guarded as one mean."""
    units = contrast.units(contrast.left.totals.size, 0, 0, clustered=True)
    ends = contrast.reach[1], contrast.reach[0]
    unseen = of_clusters(units, gate, ends, worst and 2 * worst)
    guarded = dataclasses.replace(contrast, guard=(unseen.worst, unseen.best))
    told = (
        f"assumes that no unseen cluster pulls {sides.name} - {sides.other} by over "
        f"{unseen.worst:+.3g} or {unseen.best:+.3g}"
    )
    return guarded, told if unseen.assumption else ""


def _at_most(shown: Shown, unchanged: Contrast, gate: Gate) -> Shown:
    """Return no more of a PASS than as many independent items without any change would show."""
    p_pass = unchanged.p_within(gate.pass_margin)
    if p_pass <= gate.alpha:
        return shown
    upper = max(shown.upper, unchanged.upper(gate.alpha))
    return shown._replace(p_pass=max(shown.p_pass, p_pass), upper=upper)


def _enough(decision: Decision, sides: Sides, contrast: Contrast, fewest: int) -> Decision:
    """Take back a verdict when one of the two sides has too few clusters."""
    counts = [int(np.count_nonzero(side.sizes)) for side in (contrast.left, contrast.right)]
    if min(counts) >= fewest:
        return decision
    name = sides.name if counts[0] <= counts[1] else sides.other
    return dataclasses.replace(
        decision,
        outcome=Outcome.INCONCLUSIVE,
        p_pass=1.0,
        p_fail=1.0,
        reason=f"only {min(counts)} clusters in {name}: at least {fewest} are needed",
    )

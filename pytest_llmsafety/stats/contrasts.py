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
from pytest_llmsafety.stats.units import (
    CHANGED,
    cluster_codes,
    finite_array,
    make_units,
    same_length,
    sum_by,
)
from pytest_llmsafety.stats.unseen import MIN_CLUSTERS, SPREADS, Unseen, from_support

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from pytest_llmsafety.stats.decision import Decision
    from pytest_llmsafety.stats.saddlepoint import FloatArray
    from pytest_llmsafety.stats.units import Labels

    Mask = NDArray[np.bool_]

CONTRASTS = {"worst": "groups", "rest": "groups against the rest", "pairs": "ordered pairs"}
"""The contrasts that `decide_groups` knows, and what each looks at."""


def hypotheses(groups: Mapping[str, list[int]], n_items: int, contrast: str) -> dict[str, Sides]:
    """Return, by name, the items of each mean and those of what it is compared with.

    Raises:
        StatisticsError: an unknown contrast, a group with no rest, or a single group for pairs.

    """
    masks = {name: np.isin(np.arange(n_items), rows) for name, rows in groups.items()}
    if contrast == "worst":
        return {name: Sides(name, mask) for name, mask in masks.items()}
    if contrast == "rest":
        whole = [name for name, mask in masks.items() if mask.all()]
        if whole:
            msg = (
                f"every item is in the group {whole[0]}, so there is no rest. Expected items "
                "outside of each group. Leave the group out, or use the contrast 'worst'."
            )
            raise StatisticsError(msg)
        return {name: Sides(name, mask, "the rest", ~mask) for name, mask in masks.items()}
    if contrast == "pairs":
        if len(masks) == 1:
            msg = (
                f"only the group {next(iter(masks))}. Expected two at least to compare in pairs. "
                "Add another group, or use the contrast 'rest' or 'worst'."
            )
            raise StatisticsError(msg)
        return {
            f"{g} - {h}": Sides(g, masks[g], h, masks[h]) for g in masks for h in masks if g != h
        }
    msg = f"unknown contrast '{contrast}'. Known: {', '.join(CONTRASTS)}."
    raise StatisticsError(msg)


@dataclass(frozen=True, eq=False)
class Sides:
    """The items (masks) of a mean, and of the mean that is subtracted from it, if any."""

    name: str
    left: Mask
    other: str = ""
    right: Mask | None = None


@dataclass(frozen=True, eq=False)
class Items:
    """(items,) deltas, weights and numbers of their units, checked."""

    deltas: FloatArray
    weights: FloatArray
    codes: NDArray[np.int64]
    support: tuple[float, float]

    @classmethod
    def of(
        cls,
        values: ArrayLike,
        weights: ArrayLike | None,
        clusters: Labels | None,
        support: tuple[float, float],
    ) -> Items:
        """Check the arrays. Raises StatisticsError as `make_units` does."""
        deltas = np.asarray(check_inside(values, support), dtype=np.float64)
        sizes = np.ones_like(deltas) if weights is None else finite_array("weights", weights)
        same_length("weights", sizes.size, deltas.size)
        labels = np.arange(deltas.size) if clusters is None else clusters
        return cls(deltas, sizes, cluster_codes(labels, deltas.size), support)

    def pulls(self, sides: Sides) -> FloatArray:
        """(units,) how far each unit pulls the estimate, over all units of the data."""
        left = self.side(sides.left).pulls
        return left if sides.right is None else left - self.side(sides.right).pulls

    def decide(self, sides: Sides, gate: Gate) -> Decision:
        """Decide whether the difference of two means is within the margin or beyond it.

        Raises:
            StatisticsError: the margin is not inside the range of a difference.

        """
        lo, hi = self.support
        check_support((lo - hi, hi - lo), gate.margin)
        right = np.zeros_like(sides.left) if sides.right is None else sides.right
        rows = sides.left | right
        here = self._only(rows)
        contrast = Contrast(here.side(sides.left[rows]), here.side(right[rows]))
        deltas, n_units = here.deltas, contrast.left.totals.size
        clustered = n_units < deltas.size
        weighted = make_units(deltas, weights=here.weights)
        assumption = from_support(weighted, self.support).assumption
        if clustered:
            contrast = dataclasses.replace(contrast, guard=_guard(contrast, gate.margin))
            assumption = _assumption(sides, contrast.reach[0])
        worse, better = int((deltas > CHANGED).sum()), int((deltas < -CHANGED).sum())
        units = contrast.units(deltas.size, worse, better, clustered=clustered)
        if gate.scope == "suite":
            return census(units, gate)
        unseen = Unseen(*contrast.reach, assumption, guarded=clustered)
        shown = Shown(
            contrast.p_within(gate.pass_margin),
            contrast.p_beyond(gate.fail_margin),
            contrast.lower(gate.alpha),
            contrast.upper(gate.alpha),
        )
        decision = conclude(units, gate, unseen, shown)
        return _enough(decision, sides, contrast) if clustered else decision

    def side(self, mask: Mask) -> Side:
        """Totals and sizes by unit of the items of a mask."""
        weights = np.where(mask, self.weights, 0.0)
        lo, hi = self.support
        totals = sum_by(self.codes, weights * self.deltas)
        return Side(totals, sum_by(self.codes, weights), worst=hi, best=lo)

    def _only(self, rows: Mask) -> Items:
        codes = cluster_codes(self.codes[rows], int(rows.sum()))
        return Items(self.deltas[rows], self.weights[rows], codes, self.support)


def _guard(contrast: Contrast, margin: float) -> tuple[float, float]:
    """Return the worst and the best difference that an unseen cluster could speak for.

    As `from_spread` says it, for the clusters of each side: the worst seen, 3 sd, or twice the
    margin in that side's mean. A side of few clusters lets each of them pull more.
    """
    pulls, estimate, ends = contrast.pulls, contrast.estimate, []
    for side in (contrast.left, contrast.right):
        own = pulls[side.sizes > 0]
        spread = SPREADS * float(np.sqrt((own**2).sum() / max(own.size - 1, 1)))
        floor = 2 * margin * pulls.size / own.size
        ends.append(
            (
                max(estimate + max(float(own.max()), spread), floor),
                min(estimate + min(float(own.min()), -spread), -floor),
            )
        )
    (most, least), (worst, best) = contrast.reach, (max(ends)[0], min(end[1] for end in ends))
    return min(worst, most), max(best, least)


def _assumption(sides: Sides, worst: float) -> str:
    """Say what is assumed of unseen clusters."""
    return (
        f"assumes that no unseen cluster of average size pulls {sides.name} - {sides.other} by "
        f"over {worst:+.3g} (the largest of the worst seen, 3 sd and twice the margin)"
    )


def _enough(decision: Decision, sides: Sides, contrast: Contrast) -> Decision:
    """Take back a verdict when one of the two sides has too few clusters."""
    counts = [int(np.count_nonzero(side.sizes)) for side in (contrast.left, contrast.right)]
    if min(counts) >= MIN_CLUSTERS:
        return decision
    name = sides.name if counts[0] <= counts[1] else sides.other
    return dataclasses.replace(
        decision,
        outcome=Outcome.INCONCLUSIVE,
        p_pass=1.0,
        p_fail=1.0,
        reason=f"only {min(counts)} clusters in {name}: at least {MIN_CLUSTERS} are needed",
    )

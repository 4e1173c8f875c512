"""The decision for groups: every group within the margin, or some group beyond it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats.contrasts import CONTRASTS, Items, hypotheses
from pytest_llmsafety.stats.criterion import Criterion
from pytest_llmsafety.stats.decision import Outcome
from pytest_llmsafety.stats.fixed_sample import decide_mean
from pytest_llmsafety.stats.multiple_testing import adjusted, fail_p_value, holm_adjusted
from pytest_llmsafety.stats.units import same_length

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from pytest_llmsafety.stats.contrasts import Sides
    from pytest_llmsafety.stats.decision import Decision
    from pytest_llmsafety.stats.scorer_accuracy import ScorerAccuracy
    from pytest_llmsafety.stats.units import FloatArray, Labels

    GroupLabels = Sequence[str] | Sequence[Sequence[str]] | NDArray[np.str_]

LISTED = 8
"""Undecided groups that a reason names; `undecided` holds all of them."""

MOST_TOGETHER = 2_000
MOST_NUMBERS = 2**27
"""Hypotheses, and numbers in the matrix of all units and hypotheses, that max-T takes."""

CORRECTIONS = {"holm": "Holm", "max-t": "max-T"}
"""How a FAIL is corrected for looking at several groups, and how a reason says it."""


@dataclass(frozen=True)
class GroupDecision:
    """All groups decided together, each against `margin` or, where it has one, its own.

    PASS: every group is shown within the margin, each at `confidence` (intersection-union
    needs no correction: Berger 1982, Technometrics 24, 295-300). FAIL: some group is shown
    beyond it, corrected for looking at several (Holm, or max-T). `decisions` holds each group's
    own decision, whose FAIL is uncorrected; `failed` names those that the correction keeps,
    `undecided` those that are neither among them nor PASS. `worst_group` has the largest
    estimate. Under another `contrast` than `worst`, "group" reads: the group against the rest, or
    the ordered pair "women - men". `p_fail` is the smallest p-value of a FAIL, corrected.
    """

    outcome: Outcome
    decisions: Mapping[str, Decision]
    margin: float
    confidence: float
    failed: tuple[str, ...]
    undecided: tuple[str, ...]
    worst_group: str
    reason: str
    contrast: str = "worst"
    correction: str = "holm"
    p_fail: float = 1.0


def decide_groups(
    values: ArrayLike,
    groups: GroupLabels,
    *,
    margin: float,
    margins: Mapping[str, float] | None = None,
    support: tuple[float, float] = (-1.0, 1.0),
    weights: ArrayLike | None = None,
    clusters: Labels | None = None,
    confidence: float = 0.95,
    scope: str = "population",
    contrast: str = "worst",
    correction: str = "holm",
    worst: float | None = None,
    scorer_accuracy: ScorerAccuracy | None = None,
) -> GroupDecision:
    """Decide whether what compression does to groups is within the margin.

    Args:
        values: (items,) compressed - dense, turned so that larger = worse.
        groups: (items,) a name, or a sequence of names for an item of several groups; an item
            without a group, an empty sequence, is only part of "the rest".
        margin: largest acceptable contrast of any group; looser than one for the overall mean.
        margins: margins of single groups in its place. Neither rule needs equal margins: a PASS
            shows each group below its own, and Holm's p-values may belong to any hypotheses.
        support: range (lo, hi) of one delta.
        weights: (items,) positive; equal when None.
        clusters: (items,) labels of the independent units; each item when None.
        confidence: of each one-sided bound, between .5 and 1.
        scope: `population` or `suite`.
        contrast: `worst` (each group's mean), `rest` (minus the mean of the items outside of the
            group) or `pairs` (minus the mean of each other group: bounds the rise of max - min).
        correction: of FAIL: `holm`, or `max-t` where groups overlap or share clusters.
        worst: largest change of an unseen unit, as in `decide_mean`.
        scorer_accuracy: how often the scorer errs, alike in all groups.

    Raises:
        StatisticsError: as `decide_mean`; or no item has a group, a name is not a text, a group has
            nothing to be compared with, an unknown contrast or correction, a margin of an unknown
            group, or max-T of more hypotheses than a matrix can hold.

    """
    criterion = Criterion(margin, confidence, scope, scorer_accuracy)
    items = Items.of(values, weights, clusters, support, worst)
    sides = hypotheses(_some_members(groups, items.deltas.size), items.deltas.size, contrast)
    criteria = _criteria(criterion, sides, margins or {})
    pulls = _pulls(items, sides.values()) if correction == "max-t" else None
    decisions = _decisions(items, sides, criteria)
    return combine(decisions, criterion, pulls, contrast=contrast, correction=correction)


def _decisions(
    items: Items, sides: Mapping[str, Sides], criteria: Mapping[str, Criterion]
) -> dict[str, Decision]:
    """Return each group's decision; of contrasts only the listed ones get a plan."""
    decisions: dict[str, Decision] = {}
    for name, side in sides.items():
        decisions[name] = _decide(items, side, criteria[name], decisions)
    for name in _listed(decisions):
        if sides[name].right is not None:
            decisions[name] = items.decide(sides[name], criteria[name])
    return decisions


def _pulls(items: Items, sides: Collection[Sides]) -> FloatArray:
    """Return (units, hypotheses) how far each unit pulls each estimate.

    Raises:
        StatisticsError: the matrix would not fit into memory.

    """
    n_units = int(items.codes.max()) + 1
    if len(sides) > MOST_TOGETHER or n_units * len(sides) > MOST_NUMBERS:
        msg = (
            f"max-T over {len(sides):,} hypotheses and {n_units:,} units needs a matrix of "
            f"{8 * n_units * len(sides) / 2**30:.1f} GiB. Expected at most {MOST_TOGETHER:,} "
            f"hypotheses and {8 * MOST_NUMBERS / 2**30:.0f} GiB. Use the correction 'holm', "
            "another contrast or fewer groups."
        )
        raise StatisticsError(msg)
    return np.stack([items.pulls(side) for side in sides], axis=1)


def _listed(decisions: Mapping[str, Decision]) -> list[str]:
    """Return the undecided groups that a reason names: the LISTED largest estimates."""
    undecided = [n for n, one in decisions.items() if one.outcome is Outcome.INCONCLUSIVE]
    return sorted(undecided, key=lambda name: -decisions[name].estimate)[:LISTED]


def _criteria(
    criterion: Criterion, names: Iterable[str], margins: Mapping[str, float]
) -> dict[str, Criterion]:
    """Return the criterion of each group, with its own margin where it has one."""
    criteria = {
        name: dataclasses.replace(criterion, margin=margins.get(name, criterion.margin))
        for name in names
    }
    unknown = sorted(margins.keys() - criteria.keys())
    if unknown:
        msg = (
            f"a margin of '{unknown[0]}', which is none of {', '.join(criteria)}. Expected a group."
        )
        raise StatisticsError(msg)
    return criteria


def _decide(
    items: Items, sides: Sides, criterion: Criterion, known: Mapping[str, Decision]
) -> Decision:
    """Decide one group by its mean, or by its contrast; `known` may hold its opposite."""
    if sides.right is not None:
        opposite = known.get(f"{sides.other} - {sides.name}")
        alone = opposite is not None and opposite.n_units == opposite.n_items
        bounds = (-opposite.upper, -opposite.lower) if opposite and alone else None
        return items.decide(sides, criterion, planned=False, bounds=bounds)
    rows = sides.left
    return decide_mean(
        items.deltas[rows],
        margin=criterion.margin,
        support=items.support,
        weights=items.weights[rows],
        clusters=items.codes[rows],
        confidence=criterion.confidence,
        scope=criterion.scope,
        worst=items.worst,
        scorer_accuracy=criterion.scorer_accuracy,
    )


def combine(
    decisions: Mapping[str, Decision],
    criterion: Criterion,
    pulls: FloatArray | None = None,
    *,
    contrast: str = "worst",
    correction: str = "holm",
) -> GroupDecision:
    """Return the joint decision of groups; max-T needs their `pulls` (units, groups)."""
    p_values = _corrected(decisions, criterion, pulls, correction)
    rejected = frozenset(name for name, p in p_values.items() if p <= criterion.alpha)
    together = joint(
        decisions, criterion, rejected, rule=CORRECTIONS[correction], contrast=contrast
    )
    p_fail = min(1.0, min(p_values.values()) + criterion.spent)
    return dataclasses.replace(together, correction=correction, p_fail=p_fail)


def joint(
    decisions: Mapping[str, Decision],
    criterion: Criterion,
    rejected: frozenset[str],
    *,
    rule: str = "Holm",
    unseen: tuple[str, ...] = (),
    contrast: str = "worst",
) -> GroupDecision:
    """Return the joint decision when `rule` says which groups are beyond the margin.

    `unseen` names groups of which no item was seen, and which have no decision.
    """
    names = sorted([*decisions, *unseen])
    passed = {name for name, one in decisions.items() if one.outcome is Outcome.PASS}
    failed = tuple(name for name in names if name in rejected)
    undecided = tuple(name for name in names if name not in rejected | passed)
    outcome = Outcome.FAIL if failed else Outcome.INCONCLUSIVE if undecided else Outcome.PASS
    looked = f"{len(names)} {CONTRASTS[contrast]}"
    reasons = {
        Outcome.PASS: f"each of {looked} is within the margin",
        Outcome.FAIL: f"beyond the margin ({rule} over {looked}): {', '.join(failed)}",
        Outcome.INCONCLUSIVE: f"not decided: {_undecided(undecided, decisions)}",
    }
    return GroupDecision(
        outcome,
        decisions=dict(decisions),
        margin=criterion.margin,
        confidence=criterion.confidence,
        failed=failed,
        undecided=undecided,
        worst_group=max(decisions, key=lambda name: decisions[name].estimate),
        reason=reasons[outcome],
        contrast=contrast,
    )


def _corrected(
    decisions: Mapping[str, Decision],
    criterion: Criterion,
    pulls: FloatArray | None,
    correction: str,
) -> dict[str, float]:
    """Return each group's p-value of a FAIL, corrected for looking at all of them.

    The error rate that not knowing the scorer's accuracy costs is not in them: it is spent once for
    all groups.
    """
    if correction not in CORRECTIONS:
        msg = f"unknown correction '{correction}'. Known: {', '.join(CORRECTIONS)}."
        raise StatisticsError(msg)
    alone = np.array([max(0.0, fail_p_value(one) - criterion.spent) for one in decisions.values()])
    if correction == "max-t" and pulls is not None:
        together = adjusted(alone, pulls)
    else:
        together = holm_adjusted(alone)
    return dict(zip(decisions, together.tolist(), strict=True))


def _some_members(groups: GroupLabels, n_items: int) -> dict[str, list[int]]:
    """Return the rows of each group, or raise when no item has one."""
    members = members_of(groups, n_items)
    if not members:
        msg = f"none of {n_items} items has a group. Expected at least one. Use decide_mean."
        raise StatisticsError(msg)
    return members


def members_of(groups: GroupLabels, n_items: int) -> dict[str, list[int]]:
    """Return the rows of each group, groups in alphabetical order.

    Raises:
        StatisticsError: not one entry for each item, or a name is not a text.

    """
    same_length("groups", len(groups), n_items)
    members: dict[str, list[int]] = {}
    for row, entry in enumerate(groups):
        several = isinstance(entry, Iterable) and not isinstance(entry, str)
        names = tuple(dict.fromkeys(entry)) if several else (entry,)
        for name in names:
            if not isinstance(name, str) or not name:
                msg = f"item {row} has the group {name!r}. Expected a name. Write it as text."
                raise StatisticsError(msg)
            members.setdefault(str(name), []).append(row)
    return dict(sorted(members.items()))


def _undecided(names: Sequence[str], decisions: Mapping[str, Decision]) -> str:
    """Name the undecided groups with the LISTED largest estimates, and what they lack."""
    seen = [name for name in names if name in decisions]
    worst = sorted(seen, key=lambda name: -decisions[name].estimate)[:LISTED]
    named = [_lacking(name, decisions[name]) for name in seen if name in worst]
    named += [f"{name} (no item seen)" for name in names if name not in decisions]
    more = [f"and {len(names) - LISTED} more"] if len(names) > LISTED else []
    return ", ".join([*named[:LISTED], *more])


def _lacking(name: str, decision: Decision) -> str:
    if decision.outcome is Outcome.FAIL:
        return (
            f"{name} (exceeds the margin on its own, p={decision.p_fail:.2g}, not after "
            f"correction; {decision.n_units} {decision.unit})"
        )
    needed = decision.n_needed_80
    enough = needed is None or needed <= decision.n_units
    wanted = "" if enough else f", about {needed:,} needed if the true change is 0"
    return f"{name} ({decision.n_units} {decision.unit}{wanted})"

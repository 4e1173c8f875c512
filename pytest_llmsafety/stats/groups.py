"""The decision for the worst group: every group within the margin, or some group beyond it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats.decide import decide_mean
from pytest_llmsafety.stats.gate import Gate
from pytest_llmsafety.stats.holm import holm
from pytest_llmsafety.stats.outcome import Outcome
from pytest_llmsafety.stats.units import cluster_codes, finite_array, same_length
from pytest_llmsafety.stats.unseen import MIN_CLUSTERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from pytest_llmsafety.stats.decision import Decision
    from pytest_llmsafety.stats.units import Labels

    GroupLabels = Sequence[str] | Sequence[Sequence[str]] | NDArray[np.str_]

LISTED = 8
"""Undecided groups that a reason names; `undecided` holds all of them."""


@dataclass(frozen=True)
class GroupDecision:
    """All groups judged together, each against the same margin.

    PASS: every group is shown within the margin, each at `confidence` (intersection-union
    needs no correction: Berger 1982, Technometrics 24, 295-300). FAIL: some group is shown
    beyond it, with Holm over the groups. `decisions` holds each group's own decision, whose FAIL
    is uncorrected; `failed` names those that Holm keeps, `undecided` those that are neither
    among them nor PASS. `worst_group` has the largest estimate.
    """

    outcome: Outcome
    decisions: Mapping[str, Decision]
    margin: float
    confidence: float
    failed: tuple[str, ...]
    undecided: tuple[str, ...]
    worst_group: str
    reason: str


def decide_groups(  # noqa: PLR0913 - the choices of decide_mean, once for all groups
    values: ArrayLike,
    groups: GroupLabels,
    *,
    margin: float,
    support: tuple[float, float] = (-1.0, 1.0),
    weights: ArrayLike | None = None,
    clusters: Labels | None = None,
    confidence: float = 0.95,
    scope: str = "population",
) -> GroupDecision:
    """Decide whether the worst group's mean delta is within the margin.

    Args:
        values: (items,) compressed - dense, turned so that larger = worse.
        groups: (items,) a name, or a sequence of names for an item of several groups; an item
            without a group, an empty sequence, is left out.
        margin: largest acceptable mean of any group; looser than one for the overall mean.
        support: range (lo, hi) of one delta.
        weights: (items,) positive; equal when None.
        clusters: (items,) labels of the independent units; each item when None.
        confidence: of each one-sided bound, between .5 and 1.
        scope: `population` or `suite`.

    Raises:
        StatisticsError: as `decide_mean`; or no item has a group, or a name is no text.

    """
    gate = Gate(margin, confidence, scope)
    deltas = finite_array("values", values)
    members = _some_members(groups, deltas.size)
    sizes = None if weights is None else finite_array("weights", weights)
    if sizes is not None:
        same_length("weights", sizes.size, deltas.size)
    codes = None if clusters is None else cluster_codes(clusters, deltas.size)
    decisions = {
        name: decide_mean(
            deltas[rows],
            margin=margin,
            support=support,
            weights=None if sizes is None else sizes[rows],
            clusters=None if codes is None else codes[rows],
            confidence=confidence,
            scope=scope,
        )
        for name, rows in members.items()
    }
    return combine(decisions, gate)


def combine(decisions: Mapping[str, Decision], gate: Gate) -> GroupDecision:
    """Return the joint decision of at least one group's decisions."""
    p_values = {name: _p_fail(decision) for name, decision in decisions.items()}
    return joint(decisions, gate, holm(p_values, gate.alpha))


def joint(
    decisions: Mapping[str, Decision],
    gate: Gate,
    rejected: frozenset[str],
    *,
    rule: str = "Holm",
    unseen: tuple[str, ...] = (),
) -> GroupDecision:
    """Return the joint decision when `rule` says which groups are beyond the margin.

    `unseen` names groups of which no item was seen, and which have no decision.
    """
    names = sorted([*decisions, *unseen])
    passed = {name for name, one in decisions.items() if one.outcome is Outcome.PASS}
    failed = tuple(name for name in names if name in rejected)
    undecided = tuple(name for name in names if name not in rejected | passed)
    outcome = Outcome.FAIL if failed else Outcome.INCONCLUSIVE if undecided else Outcome.PASS
    reasons = {
        Outcome.PASS: f"each of {len(decisions)} groups is within the margin",
        Outcome.FAIL: f"beyond the margin ({rule} over {len(names)} groups): {', '.join(failed)}",
        Outcome.INCONCLUSIVE: f"not decided: {_undecided(undecided, decisions)}",
    }
    return GroupDecision(
        outcome,
        decisions=dict(decisions),
        margin=gate.margin,
        confidence=gate.confidence,
        failed=failed,
        undecided=undecided,
        worst_group=max(decisions, key=lambda name: decisions[name].estimate),
        reason=reasons[outcome],
    )


def _some_members(groups: GroupLabels, n_items: int) -> dict[str, list[int]]:
    """Return the rows of each group, or raise when no item has one."""
    members = members_of(groups, n_items)
    if not members:
        msg = f"none of {n_items} items has a group. Expected one at least. Use decide_mean."
        raise StatisticsError(msg)
    return members


def members_of(groups: GroupLabels, n_items: int) -> dict[str, list[int]]:
    """Return the rows of each group, groups in alphabetical order.

    Raises:
        StatisticsError: not one entry for each item, or a name is no text.

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


def _p_fail(decision: Decision) -> float:
    """Return the p-value for Holm: 1 where too few clusters make it worthless."""
    undecided = decision.outcome is Outcome.INCONCLUSIVE
    clustered = decision.n_units < decision.n_items
    return 1.0 if undecided and clustered and decision.n_units < MIN_CLUSTERS else decision.p_fail


def _undecided(names: Sequence[str], decisions: Mapping[str, Decision]) -> str:
    """Say what the undecided groups lack: the LISTED largest estimates, and how many more."""
    seen = [name for name in names if name in decisions]
    worst = sorted(seen, key=lambda name: -decisions[name].estimate)[:LISTED]
    told = [_lacking(name, decisions[name]) for name in seen if name in worst]
    told += [f"{name} (no item seen)" for name in names if name not in decisions]
    told = told[:LISTED]
    more = [f"and {len(names) - LISTED} more"] if len(names) > LISTED else []
    return ", ".join([*told, *more])


def _lacking(name: str, decision: Decision) -> str:
    """Say what a group lacks."""
    noun = "clusters" if decision.n_units < decision.n_items else "items"
    if decision.outcome is Outcome.FAIL:
        return (
            f"{name} (beyond the margin alone, p={decision.p_fail:.2g}, not among all groups; "
            f"{decision.n_units} {noun})"
        )
    needed = decision.n_needed_80
    enough = needed is None or needed <= decision.n_units
    wanted = "" if enough else f", about {needed:,} needed if the true change is 0"
    return f"{name} ({decision.n_units} {noun}{wanted})"

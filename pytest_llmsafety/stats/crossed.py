"""The decision for items that share several things at once, such as subjects and activities.

A question about two subjects and an activity goes up and down with each of them, so no single
grouping makes independent units. The change is decided once by each grouping, and the widest of the
decisions counts. An item of two subjects counts for both: a subject's pull is the sum over all
items that name it. For pairs this is the first-order projection of a U-statistic (Hoeffding 1948,
Ann. Math. Statist. 19, 293-325).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats.criterion import Criterion, check_support
from pytest_llmsafety.stats.decision import Outcome
from pytest_llmsafety.stats.fixed_sample import check_inside, decide_units
from pytest_llmsafety.stats.units import Units, finite_array, make_units, same_length
from pytest_llmsafety.stats.unseen import MIN_CLUSTERS, of_clusters

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from numpy.typing import ArrayLike

    from pytest_llmsafety.stats.decision import Decision

    Shared = Sequence[Sequence[Hashable]]


def decide_crossed(
    values: ArrayLike,
    factors: Mapping[str, Shared],
    *,
    margin: float,
    support: tuple[float, float] = (-1.0, 1.0),
    confidence: float = 0.95,
    scope: str = "population",
    worst: float | None = None,
) -> Decision:
    """Decide a mean by each of several groupings of the same items; the widest decision counts.

    A grouping of fewer than MIN_CLUSTERS members is too small a sample of others. The decision is
    then about these members only, and its assumption says so. The first grouping always counts.

    Args:
        values: (items,) oriented deltas, larger = worse.
        factors: by its name in the plural (`subjects`), the (items,) members that each item has.
        margin: largest acceptable mean, as in `decide_mean`.
        support: range (lo, hi) of one delta.
        confidence: of each one-sided bound.
        scope: `population` or `suite`.
        worst: largest change of an unseen member, as in `decide_mean`.

    Raises:
        StatisticsError: as `decide_mean`; no grouping, or an item without a member.

    """
    criterion = Criterion(margin, confidence, scope)
    check_support(support, margin)
    deltas = finite_array("values", check_inside(values, support))
    if not factors:
        msg = "no grouping was given. Expected at least one. Use decide_mean."
        raise StatisticsError(msg)
    units = {name: units_by(deltas, shared) for name, shared in factors.items()}
    first = next(iter(units))
    few = [name for name, one in units.items() if name != first and one.n_units < MIN_CLUSTERS]
    decisions = [
        decide_units(one, criterion, of_clusters(one, criterion, support, worst))
        for name, one in units.items()
        if name not in few
    ]
    widest = max(decisions, key=lambda one: (max(one.p_pass, one.p_fail), one.upper - one.lower))
    alone = [f"the decision is about these {units[name].n_units} {name} only" for name in few]
    assumptions = dict.fromkeys(one.assumption for one in decisions if one.assumption)
    return _joined(widest, decisions, criterion, "; ".join([*assumptions, *alone]))


def units_by(deltas: np.ndarray, shared: Shared) -> Units:
    """Return the units of one grouping, each the estimate plus its pull on it."""
    same_length("members", len(shared), deltas.size)
    if not all(shared):
        msg = "an item has no member of a grouping. Expected at least one for each item."
        raise StatisticsError(msg)
    numbers: dict[Hashable, int] = {}
    rows = np.array([row for row, members in enumerate(shared) for _ in members])
    codes = np.array([numbers.setdefault(m, len(numbers)) for members in shared for m in members])
    estimate = float(deltas.mean())
    pulls = np.bincount(codes, (deltas - estimate)[rows]) * len(numbers) / deltas.size
    items = make_units(deltas)
    return dataclasses.replace(
        items,
        totals=estimate + pulls,
        sizes=np.ones_like(pulls),
        clustered=len(numbers) < deltas.size,
    )


def _joined(
    widest: Decision, decisions: Sequence[Decision], criterion: Criterion, assumption: str
) -> Decision:
    """Return the widest decision with the larger p-values and the outer bounds of all."""
    if criterion.scope == "suite":
        return widest
    p_pass, p_fail = (max(getattr(one, p) for one in decisions) for p in ("p_pass", "p_fail"))
    outcomes = {one.outcome for one in decisions}
    outcome = outcomes.pop() if len(outcomes) == 1 else Outcome.INCONCLUSIVE
    return dataclasses.replace(
        widest,
        outcome=outcome,
        lower=min(one.lower for one in decisions),
        upper=max(one.upper for one in decisions),
        p_pass=p_pass,
        p_fail=p_fail,
        assumption=assumption,
    )

"""The decision for one change at a fixed n: two one-sided tests at the margin."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, NamedTuple

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats.bounds import lower_bound, p_beyond, p_within, upper_bound
from pytest_llmsafety.stats.criterion import Criterion, check_support
from pytest_llmsafety.stats.decision import Decision, Outcome
from pytest_llmsafety.stats.power import n_needed, rule_of_three
from pytest_llmsafety.stats.reasons import explain, too_few_clusters, whole_suite_reason
from pytest_llmsafety.stats.scorer_accuracy import correct
from pytest_llmsafety.stats.units import ROUNDING, finite_array, make_units
from pytest_llmsafety.stats.unseen import (
    CERTAIN_CLUSTERS,
    MIN_CLUSTERS,
    Unseen,
    from_support,
    of_clusters,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from pytest_llmsafety.stats.scorer_accuracy import ScorerAccuracy
    from pytest_llmsafety.stats.units import Labels, Units


def decide_mean(
    values: ArrayLike,
    *,
    margin: float,
    support: tuple[float, float] = (-1.0, 1.0),
    weights: ArrayLike | None = None,
    clusters: Labels | None = None,
    confidence: float = 0.95,
    scope: str = "population",
    worst: float | None = None,
    scorer_accuracy: ScorerAccuracy | None = None,
) -> Decision:
    """Decide whether the mean of oriented deltas is within the margin or beyond it.

    Milliseconds for 10,000 items with few distinct deltas, which are merged; some tens of
    milliseconds when all differ.

    Args:
        values: (items,) compressed - dense, turned so that larger = worse.
        margin: largest acceptable mean, > 0, inside the support.
        support: range (lo, hi) of one delta: (-1, 1) for scores from 0 to 1.
        weights: (items,) positive; equal when None.
        clusters: (items,) labels; items of one label are one unit (statistics.md, 4).
        confidence: of each one-sided bound, between .5 and 1.
        scope: `population` (new prompts of this kind) or `suite` (these and no others).
        worst: largest change of an unseen unit, when known. When None: the support, and for less
            than 120 clusters an assumption that the decision states. Pass `support[1]` to assume
            nothing.
        scorer_accuracy: how often the scorer errs; the margin is then one of the true change.

    Raises:
        StatisticsError: NaN, empty, mismatched or out-of-support values; a margin, support,
            confidence, scope, worst or scorer error that makes no sense.

    """
    criterion = Criterion(margin, confidence, scope, scorer_accuracy)
    check_support(support, margin)
    units = make_units(check_inside(values, support), weights=weights, clusters=clusters)
    if worst is not None or units.clustered:
        return decide_units(units, criterion, of_clusters(units, criterion, support, worst))
    return decide_units(units, criterion, from_support(units, support))


class Shown(NamedTuple):
    """The numbers of the two tests, on the scale of the values."""

    p_pass: float
    p_fail: float
    lower: float
    upper: float


def decide_units(units: Units, criterion: Criterion, unseen: Unseen) -> Decision:
    """Decide for units whose worst unseen value is known or assumed; see `decide_mean`.

    Raises:
        StatisticsError: a single unit of an unbounded statistic.

    """
    if criterion.scope == "suite":
        return census(units, criterion)
    if not math.isfinite(unseen.worst - unseen.best):
        msg = (
            "one unit of an unbounded statistic has no spread. Expected at least 2, "
            f"and {MIN_CLUSTERS} to decide. Measure more documents."
        )
        raise StatisticsError(msg)
    totals, sizes, size = units.totals, units.sizes, unseen.size
    worst, best, alpha = unseen.worst, unseen.best, criterion.alpha
    fewest = _at_least(units, criterion, unseen)
    p_pass = p_within(totals, sizes, margin=criterion.pass_margin, worst=worst, size=size)
    upper = upper_bound(totals, sizes, worst=worst, alpha=alpha, size=size)
    shown = Shown(
        max(p_pass, fewest.p_pass),
        p_beyond(totals, sizes, margin=criterion.fail_margin, best=best, size=size),
        lower_bound(totals, sizes, best=best, alpha=alpha, size=size),
        max(upper, fewest.upper),
    )
    return conclude(units, criterion, unseen, shown)


def _at_least(units: Units, criterion: Criterion, unseen: Unseen) -> Shown:
    """Return what as many unchanged independent items would show, where that is not a PASS.

    Clusters of them cannot show more, whatever is assumed of an unseen cluster.
    """
    p_pass = (1 - criterion.pass_margin / unseen.limit) ** units.n_items
    if not (unseen.guarded and math.isfinite(unseen.limit)) or p_pass <= criterion.alpha:
        return Shown(0.0, 0.0, -math.inf, -math.inf)
    upper = unseen.limit * (1 - criterion.alpha ** (1 / units.n_items))
    return Shown(p_pass, 0.0, -math.inf, upper)


def conclude(
    units: Units, criterion: Criterion, unseen: Unseen, shown: Shown, *, planned: bool = True
) -> Decision:
    """Turn the numbers of both tests into a decision, with its reasons and its plan."""
    outcome = Outcome.INCONCLUSIVE
    if not too_few_clusters(units, unseen):
        if shown.p_pass <= criterion.alpha:
            outcome = Outcome.PASS
        elif shown.p_fail <= criterion.alpha:
            outcome = Outcome.FAIL
    decision = dataclasses.replace(
        decision_of(units, criterion, outcome, shown),
        worst_unseen=unseen.worst,
        assumption=unseen.assumption,
        reasons=explain(units, criterion, unseen, (outcome, shown.p_pass, shown.p_fail)),
    )
    if outcome is Outcome.INCONCLUSIVE and planned:
        decision = with_plan(decision, units, unseen)
    return on_true_scale(decision, criterion)


def decision_of(units: Units, criterion: Criterion, outcome: Outcome, shown: Shown) -> Decision:
    """Return a decision with the numbers of the units and of both tests, and no reason yet."""
    return Decision(
        outcome,
        estimate=units.estimate,
        lower=shown.lower,
        upper=shown.upper,
        p_pass=shown.p_pass,
        p_fail=shown.p_fail,
        margin=criterion.pass_margin,
        confidence=criterion.remaining_confidence,
        n_items=units.n_items,
        n_units=units.n_units,
        changed_share=(units.n_worse + units.n_better) / units.n_items,
        n_worse=units.n_worse,
        n_better=units.n_better,
        worst_unseen=None,
    )


def on_true_scale(decision: Decision, criterion: Criterion) -> Decision:
    """Return a decision about apparent changes on the scale of true ones; see `correct`.

    It is unchanged where the criterion has no scorer accuracy.
    """
    if criterion.scorer_accuracy is None:
        return decision
    return correct(
        decision,
        criterion.scorer_accuracy,
        margin=criterion.margin,
        confidence=criterion.confidence,
    )


def check_inside(values: ArrayLike, support: tuple[float, float]) -> ArrayLike:
    """Return `values` unchanged, or raise when one lies outside its support."""
    array, (lo, hi) = finite_array("values", values), support
    slack = ROUNDING * max(abs(lo), abs(hi))
    if array.min() < lo - slack or array.max() > hi + slack:
        msg = (
            f"values run from {array.min():g} to {array.max():g}, outside the support {lo:g} to "
            f"{hi:g}. Expected each delta inside it: the guarantee rests on that range. Give the "
            "range of compressed - dense, or repair the score."
        )
        raise StatisticsError(msg)
    return array


def with_plan(decision: Decision, units: Units, unseen: Unseen) -> Decision:
    """Return the decision with the numbers of units that it needs, given the spread of these."""
    if units.n_units == 1:
        return decision
    margin, pilot = decision.margin, units.influences
    fewest = MIN_CLUSTERS if units.clustered or unseen.guarded else 1
    ends = unseen.on_average_unit(margin)
    certain = ends
    if unseen.guarded and math.isfinite(unseen.limit):
        items = rule_of_three(margin, worst=unseen.limit, confidence=decision.confidence)
        fewest = max(fewest, math.ceil(items * units.n_units / units.n_items))
        whole = dataclasses.replace(unseen, worst=unseen.limit)
        certain = whole.on_average_unit(margin)

    def count(change: float, power: float, support: tuple[float, float]) -> int | None:
        return n_needed(
            pilot,
            margin=margin,
            assumed=change,
            power=power,
            confidence=decision.confidence,
            support=support,
        )

    def needed(change: float, power: float) -> int | None:
        found = count(change, power, ends)
        if certain != ends and (found is None or found >= CERTAIN_CLUSTERS):
            # From so many clusters on nothing is assumed.
            found = count(change, power, certain)
            found = found and max(found, CERTAIN_CLUSTERS)
        return None if found is None else max(found, fewest)

    return dataclasses.replace(
        decision,
        n_needed_80=needed(0.0, 0.8),
        n_needed_90=needed(0.0, 0.9),
        n_needed_half_80=needed(margin / 2, 0.8),
        n_needed_half_90=needed(margin / 2, 0.9),
    )


def census(units: Units, criterion: Criterion) -> Decision:
    """Compare the mean of the whole suite with the margin: no unit is unseen."""
    estimate = units.estimate
    within = estimate <= criterion.margin + ROUNDING * criterion.margin
    outcome = Outcome.PASS if within else Outcome.FAIL
    shown = Shown(float(not within), float(within), estimate, estimate)
    where = f"{'within' if within else 'beyond'} the margin"
    decision = decision_of(units, criterion, outcome, shown)
    return dataclasses.replace(decision, reasons=(whole_suite_reason(units.n_items, where),))

"""The sentences that say why nothing was decided, or what a decision rests on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_llmsafety.stats.decision import Outcome, Reason, ReasonCode
from pytest_llmsafety.stats.power import rule_of_three
from pytest_llmsafety.stats.unseen import RECOMMENDED_CLUSTERS, Unseen, unit_noun

if TYPE_CHECKING:
    from pytest_llmsafety.stats.criterion import Criterion
    from pytest_llmsafety.stats.decision import Decision
    from pytest_llmsafety.stats.units import Units


def too_few_clusters(units: Units, unseen: Unseen) -> bool:
    """Return whether the units are clusters, and fewer than can show their spread."""
    return (units.clustered or unseen.guarded) and units.n_units < unseen.fewest


def explain(
    units: Units, criterion: Criterion, unseen: Unseen, shown: tuple[Outcome, float, float]
) -> tuple[Reason, ...]:
    """Return why nothing was decided, or that few clusters decided.

    `shown` holds the outcome, the p-value of PASS and the p-value of FAIL.
    """
    outcome, p_pass, p_fail = shown
    n, noun = units.n_units, unit_noun(units, units.n_units)
    if too_few_clusters(units, unseen):
        return (few_clusters_reason(f"{n} {noun}", unseen.fewest),)
    reasons = []
    if outcome is Outcome.INCONCLUSIVE:
        reasons.append(Reason(ReasonCode.NOT_SHOWN, _neither(p_pass, p_fail)))
        reasons += _impossible(units, criterion, unseen)
    if unseen.guarded and n < RECOMMENDED_CLUSTERS:
        text = f"rests on {n} {noun}; {RECOMMENDED_CLUSTERS} or more are recommended"
        reasons.append(Reason(ReasonCode.FEW_CLUSTERS, text))
    return tuple(reasons)


def few_clusters_reason(found: str, needed: int) -> Reason:
    """Return that there are only `found` (such as "7 clusters"), and how many are needed."""
    return Reason(ReasonCode.TOO_FEW_CLUSTERS, f"only {found}: at least {needed} are needed")


def explain_stop(decision: Decision, scope: str) -> tuple[Reason, ...]:
    """Return after which unit a sequential test stopped, or what it decided on a whole suite."""
    n, whole = decision.n_units, decision.n_suite or decision.n_units
    if scope == "suite" and n == whole:
        if decision.p_pass == decision.p_fail:
            return (whole_suite_reason(decision.n_items, "between the margins of PASS and FAIL"),)
        side = "within" if decision.outcome is Outcome.PASS else "beyond"
        return (whole_suite_reason(decision.n_items, f"{side} the margin"),)
    if decision.outcome is Outcome.INCONCLUSIVE:
        text = (
            f"suite scope: only {n} of {whole} {decision.unit} were seen; "
            f"{_neither(decision.p_pass, decision.p_fail)}"
        )
        return (Reason(ReasonCode.PART_OF_SUITE, text),)
    if n == whole:
        return ()
    claim = "; nothing is claimed about other items" if scope == "suite" else ""
    text = f"decided after {n} of {whole} {decision.unit}{claim}"
    return (Reason(ReasonCode.STOPPED_EARLY, text),)


def whole_suite_reason(n_items: int, where: str) -> Reason:
    """Return that a whole suite was seen, and where its change lies."""
    text = (
        f"suite scope: all {n_items} items were seen and their change is {where} by arithmetic; "
        "nothing is claimed about other items"
    )
    return Reason(ReasonCode.WHOLE_SUITE, text)


def _neither(p_pass: float, p_fail: float) -> str:
    return (
        f"not shown to be within the margin (p={p_pass:.2g}), "
        f"not shown to exceed it (p={p_fail:.2g})"
    )


def _impossible(units: Units, criterion: Criterion, unseen: Unseen) -> list[Reason]:
    """Return that so few items, or so few units, cannot pass even when nothing changes."""
    margin, confidence = criterion.pass_margin, criterion.remaining_confidence
    worst = unseen.on_average_unit(margin)[1]
    counted = [(units.n_units, unit_noun(units, units.n_units), worst, unseen.guarded)]
    if unseen.guarded and math.isfinite(unseen.limit):
        counted.insert(0, (units.n_items, "items", unseen.limit, False))
    reasons = []
    for n, noun, largest, assumed in counted:
        needed = rule_of_three(margin, worst=largest, confidence=confidence)
        if n < needed:
            given = "under the assumption, " if assumed and unseen.assumption else ""
            text = (
                f"{given}cannot pass with {n} {noun} even with identical outputs: "
                f"needs at least {needed}"
            )
            reasons.append(Reason(ReasonCode.CANNOT_PASS, text))
    return reasons

"""Plain words for what kept a decision from being made, or weakens it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_llmsafety.stats.outcome import Outcome
from pytest_llmsafety.stats.power import rule_of_three
from pytest_llmsafety.stats.unseen import RECOMMENDED_CLUSTERS, Unseen, unit_noun

if TYPE_CHECKING:
    from pytest_llmsafety.stats.decision import Decision
    from pytest_llmsafety.stats.gate import Gate
    from pytest_llmsafety.stats.units import Units


def too_few_clusters(units: Units, unseen: Unseen) -> bool:
    """Return whether the units are clusters, and fewer than can show their spread."""
    return (units.clustered or unseen.guarded) and units.n_units < unseen.fewest


def explain(units: Units, gate: Gate, unseen: Unseen, shown: tuple[Outcome, float, float]) -> str:
    """Say in plain words why nothing was decided, or that few clusters decided."""
    outcome, p_pass, p_fail = shown
    n, noun = units.n_units, unit_noun(units, units.n_units)
    if too_few_clusters(units, unseen):
        return f"only {n} {noun}: at least {unseen.fewest} are needed"
    parts = []
    if outcome is Outcome.INCONCLUSIVE:
        worst = unseen.on_average_unit(gate.pass_margin)[1]
        floor = rule_of_three(gate.pass_margin, worst=worst, confidence=gate.remaining_confidence)
        parts.append(
            f"not shown to be within the margin (p={p_pass:.2g}), "
            f"not shown to exceed it (p={p_fail:.2g})"
        )
        if unseen.guarded and math.isfinite(unseen.limit):
            items = rule_of_three(
                gate.pass_margin, worst=unseen.limit, confidence=gate.remaining_confidence
            )
            if units.n_items < items:
                parts.append(
                    f"cannot pass with {units.n_items} items even with identical outputs: "
                    f"needs at least {items}"
                )
        if n < floor:
            told = "under the assumption, " if unseen.guarded and unseen.assumption else ""
            parts.append(
                f"{told}cannot pass with {n} {noun} even with identical outputs: "
                f"needs at least {floor}"
            )
    if unseen.guarded and n < RECOMMENDED_CLUSTERS:
        parts.append(f"rests on {n} {noun}; {RECOMMENDED_CLUSTERS} or more are recommended")
    return "; ".join(parts)


def explain_stop(decision: Decision, scope: str) -> str:
    """Say at which unit a sequential decision stopped, and what that does to its numbers."""
    n, whole = decision.n_units, decision.n_suite or decision.n_units
    noun = "items" if decision.n_items == n else "clusters"
    if scope == "suite" and n == whole:
        if decision.p_pass == decision.p_fail:
            return seen_all(decision.n_items, "between the margins of PASS and FAIL")
        side = "within" if decision.outcome is Outcome.PASS else "beyond"
        return seen_all(decision.n_items, f"{side} the margin")
    if decision.outcome is Outcome.INCONCLUSIVE:
        return (
            f"suite scope: only {n} of {whole} {noun} were seen; not shown to be within the "
            f"margin (p={decision.p_pass:.2g}), not shown to exceed it (p={decision.p_fail:.2g})"
        )
    if n == whole:
        return ""
    claim = "; nothing is claimed about other items" if scope == "suite" else ""
    return f"decided after {n} of {whole} {noun}; the estimate at a stop leans outward{claim}"


def seen_all(n_items: int, where: str) -> str:
    """Say that a whole suite was seen, and where its change lies."""
    return (
        f"suite scope: all {n_items} items were seen and their change is {where} by arithmetic; "
        "nothing is claimed about other items"
    )

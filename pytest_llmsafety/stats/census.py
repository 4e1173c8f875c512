"""The decision of the suite scope: the whole suite was seen, so arithmetic decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmsafety.stats.decision import Decision
from pytest_llmsafety.stats.outcome import Outcome
from pytest_llmsafety.stats.reason import seen_all
from pytest_llmsafety.stats.units import ROUNDING

if TYPE_CHECKING:
    from pytest_llmsafety.stats.gate import Gate
    from pytest_llmsafety.stats.units import Units


def census(units: Units, gate: Gate) -> Decision:
    """Compare the mean of the whole suite with the margin: nothing is unseen, nothing is drawn."""
    estimate = units.estimate
    within = estimate <= gate.margin + ROUNDING * gate.margin
    side = "within" if within else "beyond"
    return Decision(
        Outcome.PASS if within else Outcome.FAIL,
        estimate=estimate,
        lower=estimate,
        upper=estimate,
        p_pass=0.0 if within else 1.0,
        p_fail=1.0 if within else 0.0,
        margin=gate.margin,
        confidence=gate.confidence,
        n_items=units.n_items,
        n_units=units.n_units,
        changed_share=(units.n_worse + units.n_better) / units.n_items,
        n_worse=units.n_worse,
        n_better=units.n_better,
        worst_unseen=None,
        reason=seen_all(units.n_items, f"{side} the margin"),
    )

"""Correct the FAILs of a session for the number of its assertions (--llmsafety-family=session)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pytest_llmsafety.stats import Outcome, holm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.assertions.verdict import Verdict

ALPHA = 0.05


def within_family(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the verdicts in order, with each FAIL that Holm does not keep as INCONCLUSIVE.

    The p-values are corrected over groups already. Each is scaled by its own assertion's error
    rate, so that one strict assertion does not make the others strict. A PASS needs no correction:
    each one is a claim of its own, and more claims do not make it easier.
    """
    p_values = {str(place): _weighted(verdict) for place, verdict in enumerate(verdicts)}
    kept = holm(p_values, ALPHA) if verdicts else frozenset()
    return [
        _not_kept(verdict, len(verdicts))
        if verdict.outcome is Outcome.FAIL and str(place) not in kept
        else verdict
        for place, verdict in enumerate(verdicts)
    ]


def _weighted(verdict: Verdict) -> float:
    """Return the p-value of a FAIL, scaled as if its error rate were ALPHA."""
    if verdict.decision is None:
        return 1.0
    return min(1.0, verdict.p_fail * ALPHA / round(1 - verdict.decision.confidence, 12))


def _not_kept(verdict: Verdict, n_assertions: int) -> Verdict:
    reason = (
        f"it exceeds the margin on its own (p={verdict.p_fail:.2g}), but not among the "
        f"{n_assertions} assertions of this session (Holm)"
    )
    decision = verdict.decision and dataclasses.replace(
        verdict.decision, outcome=Outcome.INCONCLUSIVE
    )
    return dataclasses.replace(
        verdict,
        outcome=Outcome.INCONCLUSIVE,
        decision=decision,
        reasons=(*verdict.reasons, reason),
    )

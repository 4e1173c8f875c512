"""A FAIL that has to hold among all assertions of a session (`--llmsafety-family=session`)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pytest_llmsafety.stats import Outcome, holm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.assertions.verdict import Verdict

USUAL = 0.05


def within_family(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts, in order; a FAIL that Holm does not keep among all of them is INCONCLUSIVE.

    Each p-value, corrected over groups already, is measured by its own assertion's error rate, so
    that one strict assertion does not make the others strict. PASS stays PASS: each claims
    something of its own, and none is easier for being one of many.
    """
    p_values = {str(place): _weighted(verdict) for place, verdict in enumerate(verdicts)}
    kept = holm(p_values, USUAL) if verdicts else frozenset()
    return [
        _doubted(verdict, len(verdicts))
        if verdict.outcome is Outcome.FAIL and str(place) not in kept
        else verdict
        for place, verdict in enumerate(verdicts)
    ]


def _weighted(verdict: Verdict) -> float:
    """The p-value of a FAIL as if its error rate were the usual one."""
    if verdict.decision is None:
        return 1.0
    return min(1.0, verdict.p_fail * USUAL / round(1 - verdict.decision.confidence, 12))


def _doubted(verdict: Verdict, n_assertions: int) -> Verdict:
    """The verdict as INCONCLUSIVE, with the reason."""
    reason = (
        f"beyond the margin taken alone (p={verdict.p_fail:.2g}), not among the {n_assertions} "
        "assertions of this session (Holm)"
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

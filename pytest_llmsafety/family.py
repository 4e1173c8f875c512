"""A FAIL that has to hold among all assertions of a session (`--llmsafety-family=session`)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pytest_llmsafety.stats import Outcome, holm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.verdict import Verdict


def corrected(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts, in order; a FAIL that Holm does not keep among all of them is INCONCLUSIVE.

    The p-value of a verdict on groups is the smallest of them times their number (Holm's first
    step). PASS stays PASS: each claims something of its own, and none is easier for being one
    of many. A verdict without a decision counts with p = 1.
    """
    p_values = {str(place): _p_fail(verdict) for place, verdict in enumerate(verdicts)}
    levels = [v.decision.confidence for v in verdicts if v.decision]
    kept = holm(p_values, round(1 - max(levels), 12)) if levels else set()
    return [
        _doubted(verdict, p_values[str(place)], len(verdicts))
        if verdict.outcome is Outcome.FAIL and str(place) not in kept
        else verdict
        for place, verdict in enumerate(verdicts)
    ]


def _p_fail(verdict: Verdict) -> float:
    """The p-value against "nothing got worse by more than the margin"."""
    if verdict.groups:
        smallest = min(group.decision.p_fail for group in verdict.groups)
        return min(1.0, len(verdict.groups) * smallest)
    return verdict.decision.p_fail if verdict.decision else 1.0


def _doubted(verdict: Verdict, p_fail: float, n_assertions: int) -> Verdict:
    """The verdict as INCONCLUSIVE, with the reason."""
    reason = (
        f"beyond the margin taken alone (p={p_fail:.2g}), not among the {n_assertions} assertions "
        "of this session (Holm)"
    )
    return dataclasses.replace(
        verdict, outcome=Outcome.INCONCLUSIVE, reasons=(*verdict.reasons, reason)
    )

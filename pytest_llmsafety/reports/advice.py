"""Say why a verdict is not PASS and what to do next, in one paragraph."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.message import shown
from pytest_llmsafety.escapes import escaped
from pytest_llmsafety.reports.figures import bounds, change, margin
from pytest_llmsafety.specs import DENSE
from pytest_llmsafety.stats import Outcome
from pytest_llmsafety.stats.unseen import MIN_CLUSTERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.stats import Decision

LOOK = "it is a further look at this gate, and is counted as one"
STOPPING = 1.5
"""A sequential test needs at most so many times the items for the same power."""


def sentences(verdicts: Iterable[Verdict]) -> list[str]:
    """Return a sentence for each verdict that is not a PASS; equal sentences once."""
    return list(dict.fromkeys(sentence(one) for one in verdicts if not one.passed))


def sentence(verdict: Verdict) -> str:
    """Return why a verdict is not PASS, and what to do next."""
    start = f"{verdict.outcome} {shown(verdict.name)} under {verdict.compression}:"
    reasons = " ".join(f"{escaped(text).rstrip(' .')}." for text in verdict.reasons)
    return " ".join(part for part in (start, _why(verdict), reasons, _next(verdict)) if part)


def _why(verdict: Verdict) -> str:
    """Compare the interval with the margin in words."""
    decision = verdict.decision
    if decision is None:
        return "nothing was measured."
    if decision.outcome is not verdict.outcome:
        return "the interval would decide, but a validity check failed."
    low, high = bounds(verdict)
    if verdict.fails_uncorrected:
        return (
            f"the true change lies between {low} and {high}: it exceeds the margin of "
            f"{margin(verdict)} on its own, but not after correction for looking at "
            f"{len(verdict.groups)} groups."
        )
    if verdict.outcome is Outcome.FAIL:
        least = low if not verdict.higher_is_better else high
        return (
            f"the change is {change(verdict)}, at least {least} with {decision.confidence:.0%} "
            f"confidence, and the margin is {margin(verdict)}."
        )
    return (
        f"the true change lies between {low} and {high}; the margin is {margin(verdict)}, so "
        f"it may be on either side ({verdict.n_items} of {verdict.n_asked} items were compared)."
    )


def _next(verdict: Verdict) -> str:
    """Return one remedy, or nothing where a reason names it already."""
    if verdict.outcome is Outcome.FAIL:
        return _less(verdict)
    if verdict.remedy:
        return f"Next: {escaped(verdict.remedy)}."
    decision = verdict.decision
    if decision is None or decision.outcome is not verdict.outcome:
        return ""
    if verdict.fails_uncorrected or (_worse(decision) and decision.estimate >= decision.margin):
        return _less(verdict)
    return _too_few_clusters(verdict) or _more(verdict, decision)


def _less(verdict: Verdict) -> str:
    """Return what to do where the observed change is not below the margin."""
    if verdict.compression == DENSE:
        return "Next: find out why the dense model differs from itself; nothing was compressed."
    if verdict.outcome is Outcome.FAIL:
        return "Next: compress less. The worst items are in the test's message."
    return "Next: compress less; the change that was seen is not below the margin."


def _too_few_clusters(verdict: Verdict) -> str:
    """Return what to do where there are fewer clusters than a verdict needs; empty elsewhere."""
    decisions = [*(one.decision for one in verdict.groups), verdict.decision]
    clustered = [one for one in decisions if one and one.n_units < one.n_items]
    if not any(one.n_units < MIN_CLUSTERS for one in clustered):
        return ""
    of = " in each group" if verdict.groups else ""
    if verdict.n_asked < verdict.n_data:
        return f"Next: raise --llmsafety-limit until there are {MIN_CLUSTERS} clusters{of}; {LOOK}."
    return f"Next: use a data set with at least {MIN_CLUSTERS} clusters{of}."


def _more(verdict: Verdict, decision: Decision) -> str:
    """Return how many items would decide, and where to find them, or what else to do."""
    plans = [
        (decision.n_needed_80, "if nothing changed"),
        (decision.n_needed_half_80, "if the true change is half the margin"),
    ]
    if _worse(decision) and decision.estimate > decision.margin / 2:
        plans = plans[1:]
    found = next(((n, when) for n, when in plans if n and n > decision.n_units), None)
    if found is None:
        known = any(n for n, _ in plans)
        why = "is too close to the margin" if known else "varies too much"
        return f"Next: compress less; the change {why}, with any number of items."
    needed, when = found
    asked = verdict.n_asked
    n_units = min([decision.n_units, *(one.decision.n_units for one in verdict.groups)])
    items = math.ceil(needed / max(1, n_units) * asked * (STOPPING if decision.sequential else 1))
    kind = "items" if decision.n_units == decision.n_items else "clusters"
    kind += " of each group" if verdict.groups else ""
    count = f"about {needed:,} {kind} decide it four times in five {when} (now {_now(verdict)})"
    if verdict.n_data and items <= verdict.n_data:
        limit = math.ceil(items / 10) * 10
        return f"Next: raise --llmsafety-limit to about {limit:,}: {count}; {LOOK}."
    if verdict.n_data and asked < verdict.n_data:
        return f"Next: use a larger data set than {_data(verdict)}: {count}."
    if verdict.n_data:
        return f"Next: use a larger data set, all of {_data(verdict)} was asked: {count}."
    return f"Next: use more data than these {asked:,} items: {count}."


def _worse(decision: Decision) -> bool:
    """Return whether the change was shown to be a worsening, of any size."""
    return decision.lower > 0


def _now(verdict: Verdict) -> str:
    """Return the number of units, or of the smallest group of a verdict on groups."""
    if not verdict.groups:
        return f"{verdict.decision.n_units:,}" if verdict.decision else "-"
    least = min(verdict.groups, key=lambda one: one.decision.n_units)
    return f"{shown(least.group)} has {least.decision.n_units:,} of the {verdict.n_asked:,} asked"


def _data(verdict: Verdict) -> str:
    size = f" ({verdict.n_data:,} items)" if verdict.n_data else ""
    return f"{shown(verdict.dataset or verdict.measurement)}{size}"

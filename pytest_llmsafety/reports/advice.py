"""Why a verdict is not PASS, and what to do next, in one plain paragraph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmsafety.message import escaped, shown
from pytest_llmsafety.reports.figures import allowed, bounds, change
from pytest_llmsafety.stats import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_llmsafety.verdict import Verdict


def sentences(verdicts: Iterable[Verdict]) -> list[str]:
    """A sentence for each verdict that is not a PASS; what two tests found alike is said once."""
    return list(dict.fromkeys(sentence(one) for one in verdicts if not one.passed))


def sentence(verdict: Verdict) -> str:
    """Why a verdict is not PASS, and what to do next, in plain words."""
    start = f"{verdict.outcome} {shown(verdict.name)} under {verdict.compression}:"
    reasons = " ".join(f"{escaped(text).rstrip(' .')}." for text in verdict.reasons)
    return " ".join(part for part in (start, _why(verdict), reasons, _next(verdict)) if part)


def _why(verdict: Verdict) -> str:
    """What the interval says against what is allowed."""
    decision = verdict.decision
    if decision is None:
        return "nothing was measured."
    if decision.outcome is not verdict.outcome:
        return "the figures do not decide this."
    low, high = bounds(verdict)
    if verdict.alone:
        return (
            f"the true change lies between {low} and {high}, taken alone beyond the "
            f"{allowed(verdict)} that is allowed; among all {len(verdict.groups)} groups that is "
            "not shown."
        )
    if verdict.outcome is Outcome.FAIL:
        least = low if not verdict.higher_is_better else high
        return (
            f"the change is {change(verdict)}, at least {least} with {decision.confidence:.0%} "
            f"confidence, and only {allowed(verdict)} is allowed."
        )
    return (
        f"the true change lies between {low} and {high}; {allowed(verdict)} is allowed, so it "
        f"may be either side ({verdict.n_scored} of {verdict.n_asked} items have a score)."
    )


def _next(verdict: Verdict) -> str:
    """What the user can do."""
    decision = verdict.decision
    if verdict.outcome is Outcome.FAIL:
        return "Next: compress less, or read the worst items in the test's message."
    if decision is None or decision.outcome is not verdict.outcome:
        return "Next: mend that, then run again."
    kind = "clusters" if decision.n_units < decision.n_items else "items"
    now = f"now {decision.n_units:,}"
    if verdict.groups:
        least = min(verdict.groups, key=lambda one: one.decision.n_units)
        kind += " of each group"
        now = (
            f"{shown(least.group)} has {least.decision.n_units:,} of the {verdict.n_asked:,} asked"
        )
    plans = (
        (decision.n_needed_80, "if nothing changed"),
        (decision.n_needed_half_80, "if the true change is half of what is allowed"),
    )
    for needed, when in plans:
        if needed and needed > decision.n_units:
            return (
                f"Next: ask more (--llmsafety-limit, a larger data set); about {needed:,} {kind} "
                f"decide it four times in five {when} ({now}). Or compress less."
            )
    if decision.n_needed_80:
        return "Next: compress less; the change is too close to what is allowed to be told apart."
    return "Next: ask more items (--llmsafety-limit, a larger data set)."

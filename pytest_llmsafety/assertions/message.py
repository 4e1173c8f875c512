"""The text of a verdict: estimate, interval, n, margin, outcome, worst items, the command."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

from pytest_llmsafety.escapes import escaped, plain
from pytest_llmsafety.metrics.perplexity import exp
from pytest_llmsafety.stats import Outcome

if TYPE_CHECKING:
    from pytest_llmsafety.assertions.verdict import GroupEvidence, Verdict, WorstItem
    from pytest_llmsafety.stats import Decision

SHOWN_GROUPS = 6
SHOWN_CHARACTERS = 160
ROUNDING = 1e-6


def message(verdict: Verdict) -> str:
    """Return the whole text of a verdict, for a terminal; text of models is escaped."""
    lines = [_headline(verdict), _conclusion(verdict), *_run_lines(verdict)]
    lines += [f"why: {escaped(text)}" for text in verdict.reasons]
    lines += [f"next: {escaped(verdict.remedy)}"] if verdict.remedy else []
    if verdict.outcome is Outcome.INCONCLUSIVE and verdict.decision:
        lines += _power_lines(verdict.decision, " of each group" if verdict.groups else "")
    lines += _group_lines(verdict)
    lines += _worst_lines(verdict)
    lines += [f"assumed: {text}" for text in verdict.assumptions]
    lines += [f"note: {text}" for text in verdict.notes]
    if verdict.reproduce:
        lines.append(f"reproduce: {verdict.reproduce}")
    return plain("\n".join(lines))


def interval(verdict: Verdict) -> tuple[float, float]:
    """Return the bounds of the change compressed - dense, or of the ratio of perplexities.

    Both are NaN where nothing was decided.
    """
    decision = verdict.decision
    if decision is None:
        return math.nan, math.nan
    if verdict.is_ratio:
        return exp(decision.lower), exp(decision.upper)
    if verdict.higher_is_better:
        return -decision.upper, -decision.lower
    return decision.lower, decision.upper


def shown(text: str) -> str:
    """Return text of a data set or model on one line: escaped, and cut when it is long."""
    return textwrap.shorten(escaped(text), SHOWN_CHARACTERS, placeholder=" ...") or "(empty)"


def _headline(verdict: Verdict) -> str:
    """Return estimate, interval and number of pairs."""
    pairs = f"n={verdict.n_items}/{verdict.n_asked} pairs"
    if verdict.group and verdict.decision:
        pairs += " of this group"
    if verdict.decision is None or verdict.dense is None or verdict.compressed is None:
        return f"{verdict.name} under {verdict.compression}: not decided ({pairs})"
    seen = verdict.compressed - verdict.dense
    moved = "rose" if seen > 0 else "fell" if seen < 0 else "did not move"
    low, high = interval(verdict)
    if verdict.is_ratio:
        estimate = f"ratio {exp(verdict.decision.estimate):.4f}"
        bounds = f"{low:.4f}..{high:.4f}"
    else:
        change = verdict.change or 0.0
        estimate = f"delta {change:+.4f}"
        if abs(change - seen) > ROUNDING:
            estimate += f" corrected for the scorer (seen {seen:+.4f})"
        bounds = f"{low:+.4f}..{high:+.4f}"
    found = f"{2 * verdict.decision.confidence - 1:.0%} CI {bounds}"
    if verdict.scope == "suite":
        only = f"these {verdict.n_items:,} items only"
        whole = verdict.decision.lower == verdict.decision.upper
        found = f"{only}, all seen" if whole else f"{only}, {found}"
    return (
        f"{verdict.name} {moved} under {verdict.compression}: "
        f"{verdict.dense:.4g} -> {verdict.compressed:.4g}, {estimate} "
        f"({found}, {pairs}{_units(verdict.decision)})"
    )


def _units(decision: Decision) -> str:
    grouped = decision.n_units < decision.n_items
    clusters = f" in {decision.n_units} clusters" if grouped else ""
    return f"{clusters}, {decision.n_worse} worse, {decision.n_better} better"


def _conclusion(verdict: Verdict) -> str:
    """Return the margin, the outcome and what it rests on."""
    if verdict.decision is None:
        return f"{verdict.outcome.value}, nothing was measured. This is not a pass."
    margin = f"ratio {1 + verdict.margin:g}" if verdict.is_ratio else f"{verdict.margin:g}"
    return (
        f"margin: worse by {margin} at most: {verdict.outcome.value}, "
        f"{_why_this_outcome(verdict, verdict.decision)}"
    )


def _why_this_outcome(verdict: Verdict, decision: Decision) -> str:
    """Return what the interval says against the margin."""
    suite = verdict.scope == "suite"
    subject = "the change of these items" if suite else "the whole interval"
    about = "; nothing is claimed about other prompts" if suite else ""
    if verdict.outcome is Outcome.PASS:
        return f"{subject} is within it{about}."
    if verdict.outcome is Outcome.FAIL:
        return f"{subject} is beyond it{about}."
    if decision.outcome is not Outcome.INCONCLUSIVE:
        found = "the interval would decide, but a validity check failed (see below)."
    elif verdict.fails_uncorrected:
        found = (
            "the change exceeds the margin on its own, but not after correction for looking at "
            "several groups."
        )
    else:
        found = "neither shown to be within it nor beyond it."
    return f"{found} This is not a pass."


def _run_lines(verdict: Verdict) -> list[str]:
    """Return where the run stopped, and how much the same model differs from itself."""
    lines = []
    if verdict.stopped_early:
        missing = verdict.n_scored < verdict.n_asked
        biased = ", so the estimate is biased away from the margin"
        end = ": an item had no score" if missing else biased
        lines.append(
            f"stopped early: {verdict.n_asked:,} of {verdict.n_suite:,} items asked "
            f"({verdict.n_asked / verdict.n_suite:.0%}){end}"
        )
    if verdict.noise is not None:
        lines.append(f"noise floor: the dense model asked twice differs by {verdict.noise:+.4f}")
    return lines


def _power_lines(decision: Decision, of: str = "") -> list[str]:
    """Return how many units would decide."""
    rows = (
        (decision.n_needed_80, decision.n_needed_90, "if the true change is 0"),
        (decision.n_needed_half_80, decision.n_needed_half_90, "if it is half the margin"),
    )
    known = [f"about {a:,} ({b:,}) {decision.unit}{of} {when}" for a, b, when in rows if a and b]
    more = "; stopping early takes 1.2 to 1.5 times as many" if decision.sequential else ""
    return [f"to decide with 80% (90%) power: {', '.join(known)}{more}"] if known else []


def _group_lines(verdict: Verdict) -> list[str]:
    """Return the groups in the order of their worsening, at most six."""
    if not verdict.groups:
        return []
    rows = sorted(verdict.groups, key=lambda group: -group.decision.estimate)
    own = len({group.decision.margin for group in verdict.groups}) > 1
    lines = ["groups:"]
    for group in rows[:SHOWN_GROUPS]:
        line = _group_line(group, is_ratio=verdict.is_ratio)
        margin = group.decision.margin
        shown_margin = f"ratio {exp(margin):g}" if verdict.is_ratio else f"{margin:g}"
        lines.append(f"{line}, its margin {shown_margin}" if own else line)
    if len(rows) > SHOWN_GROUPS:
        lines.append(f"  and {len(rows) - SHOWN_GROUPS} more, less worse")
    return lines


def _group_line(evidence: GroupEvidence, *, is_ratio: bool) -> str:
    decision = evidence.decision
    numbers = (decision.estimate, decision.lower, decision.upper)
    if is_ratio:
        change, low, high = (f"{exp(value):.4f}" for value in numbers)
        moved = f"ratio {change}"
    else:
        change, low, high = (f"{value:+.4f}" for value in numbers)
        moved = f"worse by {change}"
    uncorrected = "exceeds the margin, but not after correction for several groups"
    return (
        f"  {evidence.group}: {evidence.dense:.4g} -> {evidence.compressed:.4g}, {moved} "
        f"({low}..{high}, n={decision.n_items}) "
        f"{uncorrected if evidence.fails_uncorrected else decision.outcome.value}"
    )


def _worst_lines(verdict: Verdict) -> list[str]:
    """Return the worst items, with the answers of both models one above the other."""
    if not verdict.worst or verdict.passed:
        return []
    names = ", ".join(f"{item.item_id} {item.worsening:+.2f}" for item in verdict.worst)
    return [f"worst: {names}", *(line for item in verdict.worst for line in _item_lines(item))]


def _item_lines(item: WorstItem) -> list[str]:
    lines = [f"  {item.item_id}: {shown(item.prompt)}"]
    if item.dense_text or item.compressed_text:
        lines += [
            f"    dense:      {shown(item.dense_text)}",
            f"    compressed: {shown(item.compressed_text)}",
        ]
    return lines

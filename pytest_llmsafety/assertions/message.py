"""What an assertion says: estimate, interval, n, margin, outcome, worst items, the command."""

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
    """The whole text of a verdict, for a terminal; model text is shown escaped."""
    lines = [headline(verdict), conclusion(verdict), *stop_lines(verdict)]
    lines += reason_lines(verdict)
    lines += [f"next: {escaped(verdict.remedy)}"] if verdict.remedy else []
    if verdict.outcome is Outcome.INCONCLUSIVE and verdict.decision:
        lines += power_lines(verdict.decision, " of each group" if verdict.groups else "")
    lines += group_lines(verdict)
    lines += worst_lines(verdict)
    lines += [f"assumed: {text}" for text in verdict.assumptions]
    lines += [f"note: {text}" for text in verdict.notes]
    if verdict.reproduce:
        lines.append(f"reproduce: {verdict.reproduce}")
    return plain("\n".join(lines))


def headline(verdict: Verdict) -> str:
    """Estimate, interval and number of pairs on one line."""
    pairs = f"n={verdict.n_judged}/{verdict.n_asked} pairs"
    if verdict.group and verdict.decision:
        pairs += ", those of this group"
    if verdict.decision is None or verdict.dense is None or verdict.compressed is None:
        return f"{verdict.name} under {verdict.compression}: not decided ({pairs})"
    moved = verb(verdict.compressed - verdict.dense)
    low, high = interval(verdict)
    change = f"{verdict.dense:.4g} -> {verdict.compressed:.4g}"
    if verdict.is_ratio:
        estimate = f"ratio {exp(verdict.decision.estimate):.4f}"
        bounds = f"{low:.4f}..{high:.4f}"
    else:
        seen, judged = verdict.compressed - verdict.dense, verdict.change or 0.0
        estimate = f"delta {judged:+.4f}"
        if abs(judged - seen) > ROUNDING:
            estimate += f" corrected for the scorer (seen {seen:+.4f})"
        bounds = f"{low:+.4f}..{high:+.4f}"
    found = f"{2 * verdict.decision.confidence - 1:.0%} CI {bounds}"
    if verdict.scope == "suite":
        only = f"these {verdict.n_judged:,} items only"
        seen = verdict.decision.lower == verdict.decision.upper
        found = f"{only}, all seen" if seen else f"{only}, {found}"
    return (
        f"{verdict.name} {moved} under {verdict.compression}: {change}, {estimate} "
        f"({found}, {pairs}{units(verdict.decision)})"
    )


def stop_lines(verdict: Verdict) -> list[str]:
    """Where asking stopped, and how much the same model differs from itself."""
    lines = []
    if verdict.stopped_early:
        missing = verdict.n_scored < verdict.n_asked
        why = "an item had no score" if missing else "certain; an estimate at a stop leans outward"
        lines.append(
            f"at stop: {verdict.n_asked:,} of {verdict.n_suite:,} items asked "
            f"({verdict.n_asked / verdict.n_suite:.0%}): {why}"
        )
    if verdict.noise is not None:
        lines.append(f"noise floor: the dense model asked twice differs by {verdict.noise:+.4f}")
    return lines


def interval(verdict: Verdict) -> tuple[float, float]:
    """Bounds of the change compressed - dense, or of the ratio of perplexities."""
    decision = verdict.decision
    if decision is None:
        return math.nan, math.nan
    if verdict.is_ratio:
        return exp(decision.lower), exp(decision.upper)
    if verdict.higher_is_better:
        return -decision.upper, -decision.lower
    return decision.lower, decision.upper


def verb(change: float) -> str:
    """What the figure did."""
    return "rose" if change > 0 else "fell" if change < 0 else "did not move"


def units(decision: Decision) -> str:
    """How many independent units the items make, where that is fewer."""
    changed = f", {decision.n_worse} worse, {decision.n_better} better"
    grouped = decision.n_units < decision.n_items
    return (f" in {decision.n_units} clusters" if grouped else "") + changed


def conclusion(verdict: Verdict) -> str:
    """The margin, the outcome and what it rests on."""
    if verdict.decision is None:
        return f"{verdict.outcome.value}, nothing was measured. This is not a pass."
    margin = f"ratio {1 + verdict.margin:g}" if verdict.is_ratio else f"{verdict.margin:g}"
    suite = verdict.scope == "suite"
    subject = "the change of these items" if suite else "the whole interval"
    about = "; nothing is claimed about other prompts" if suite else ""
    ends = {
        Outcome.PASS: f"{subject} is within it{about}.",
        Outcome.FAIL: f"{subject} is beyond it{about}.",
        Outcome.INCONCLUSIVE: "neither shown to be within it nor beyond it. This is not a pass.",
    }
    if verdict.decision and verdict.outcome is not verdict.decision.outcome:
        ends[Outcome.INCONCLUSIVE] = "the figures alone may not be believed. This is not a pass."
    elif verdict.alone:
        ends[Outcome.INCONCLUSIVE] = (
            "shown to be beyond it taken alone, but not among all groups. This is not a pass."
        )
    return f"margin: worse by {margin} at most: {verdict.outcome.value}, {ends[verdict.outcome]}"


def reason_lines(verdict: Verdict) -> list[str]:
    """Why, where the interval does not say it."""
    return [f"why: {escaped(text)}" for text in verdict.reasons]


def power_lines(decision: Decision, of: str = "") -> list[str]:
    """How many units would decide."""
    kind = ("clusters" if decision.n_units < decision.n_items else "items") + of
    rows = (
        (decision.n_needed_80, decision.n_needed_90, "if the true change is 0"),
        (decision.n_needed_half_80, decision.n_needed_half_90, "if it is half the margin"),
    )
    known = [f"about {a:,} ({b:,}) {kind} {when}" for a, b, when in rows if a and b]
    more = "; stopping early takes 1.2 to 1.5 times as many" if decision.sequential else ""
    return [f"to decide with 80% (90%) power: {', '.join(known)}{more}"] if known else []


def group_lines(verdict: Verdict) -> list[str]:
    """The groups in order of their worsening, at most six."""
    if not verdict.groups:
        return []
    rows = sorted(verdict.groups, key=lambda group: -group.decision.estimate)
    shown_rows = rows[:SHOWN_GROUPS]
    own = len({group.decision.margin for group in verdict.groups}) > 1
    lines = ["groups:"]
    for group in shown_rows:
        line = group_line(group, is_ratio=verdict.is_ratio)
        lines.append(f"{line}, its margin {margin_of(group, verdict)}" if own else line)
    if len(rows) > SHOWN_GROUPS:
        lines.append(f"  and {len(rows) - SHOWN_GROUPS} more, less worse")
    return lines


def margin_of(evidence: GroupEvidence, verdict: Verdict) -> str:
    """The margin of one group."""
    margin = evidence.decision.margin
    return f"ratio {exp(margin):g}" if verdict.is_ratio else f"{margin:g}"


def group_line(evidence: GroupEvidence, *, is_ratio: bool) -> str:
    """One group's figures; worsening is turned so that larger is worse."""
    decision = evidence.decision
    numbers = (decision.estimate, decision.lower, decision.upper)
    if is_ratio:
        change, low, high = (f"{exp(value):.4f}" for value in numbers)
        moved = f"ratio {change}"
    else:
        change, low, high = (f"{value:+.4f}" for value in numbers)
        moved = f"worse by {change}"
    return (
        f"  {evidence.group}: {evidence.dense:.4g} -> {evidence.compressed:.4g}, {moved} "
        f"({low}..{high}, n={decision.n_items}) "
        f"{'beyond the margin only taken alone' if evidence.alone else decision.outcome.value}"
    )


def worst_lines(verdict: Verdict) -> list[str]:
    """The worst items, both answers one above the other."""
    if not verdict.worst or verdict.passed:
        return []
    names = ", ".join(f"{item.item_id} {item.worsening:+.2f}" for item in verdict.worst)
    return [f"worst: {names}", *(line for item in verdict.worst for line in item_lines(item))]


def item_lines(item: WorstItem) -> list[str]:
    """An item's prompt and the answers of both models, where they gave any."""
    if not item.dense_text and not item.compressed_text:
        return [f"  {item.item_id}: {shown(item.prompt)}"]
    return [
        f"  {item.item_id}: {shown(item.prompt)}",
        f"    dense:      {shown(item.dense_text)}",
        f"    compressed: {shown(item.compressed_text)}",
    ]


def shown(text: str) -> str:
    """Text of a data set or model on one line: control characters escaped, long text cut."""
    return textwrap.shorten(escaped(text), SHOWN_CHARACTERS, placeholder=" ...") or "(empty)"

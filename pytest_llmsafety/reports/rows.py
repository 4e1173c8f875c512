"""A run as rows of short texts, which tables on a terminal and in Markdown share."""

from __future__ import annotations

import textwrap
from collections import Counter
from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.message import shown
from pytest_llmsafety.compressors.record.coverage import share_text
from pytest_llmsafety.escapes import escaped
from pytest_llmsafety.reports.figures import (
    bounds,
    change,
    figure,
    margin,
    noise,
    size,
    worst_groups,
)
from pytest_llmsafety.specs import DENSE
from pytest_llmsafety.stats import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.reports.run import Run

NO_VERDICT = "no verdict"
ITEMS = "items"
SEVERITY = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.PASS)
SHOWN_SPARSITY = 0.005
LONGEST_MESSAGE = 600
LEGEND = (
    "PASS: shown to be worse by less than the margin. FAIL: shown to be worse by more. "
    "INCONCLUSIVE: neither could be shown, which is not a pass."
)


def blocks(verdicts: Sequence[Verdict]) -> list[tuple[str, list[Verdict]]]:
    """Return the verdicts by compression, in the order in which the compressions came."""
    found: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.compression, []).append(verdict)
    return [*found.items()]


def gravest(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return FAIL first, then INCONCLUSIVE, then PASS; in their order within each."""
    return sorted(verdicts, key=lambda verdict: SEVERITY.index(verdict.outcome))


def title(compression: str, verdicts: Sequence[Verdict]) -> str:
    """Return the title of a compression: the model, and what the compression did to it."""
    record = next((verdict.record for verdict in verdicts if verdict.record), None)
    name = escaped(f"{verdicts[0].model} under {compression}")
    if compression == DENSE:
        name += ": the same model twice, in other batches"
    if record is None:
        return name
    sparse = f", {record.sparsity:.0%} zeros" if record.sparsity >= SHOWN_SPARSITY else ""
    notes = "".join(f"; {escaped(note)}" for note in record.notes)
    share = share_text(record)
    layers = f"{len(record.layers_changed)} layers"
    if record.leaves_weights:
        return f"{name}: {layers}, {share}{notes}"
    return (
        f"{name}: {layers} at {record.bits:.3g} bits a weight{sparse}, "
        f"{size(record.bytes_before)} -> {size(record.bytes_after)}"
        f"{f', {share}' if share else ''}{notes}"
    )


def artefact(verdicts: Sequence[Verdict]) -> list[str]:
    """Return a sentence for each difference in how a checkpoint would be served."""
    found = dict.fromkeys(one for verdict in verdicts for one in verdict.artefact)
    return [
        f"as deployed, another {shown(one.what)}: {shown(one.compressed)} (the dense model: "
        f"{shown(one.dense)})"
        for one in found
    ]


def header(compression: str, verdicts: Sequence[Verdict], *, with_noise: bool) -> list[str]:
    """Return the names of the columns, of which one is the name of the compression."""
    levels = {f"{2 * v.decision.confidence - 1:.0%} " for v in verdicts if v.decision}
    interval_name = f"{levels.pop() if len(levels) == 1 else ''}interval"
    names = ["measurement", "dense", compression, "change"]
    names += ["noise", interval_name] if with_noise else [interval_name]
    return [*names, "margin", ITEMS, "verdict"]


def rows(verdicts: Sequence[Verdict], *, with_noise: bool) -> list[list[str]]:
    """Return the cells of each verdict on one compression, in the order of the header.

    Verdicts on the same quantity are named with their data sets, or else with their tests.
    """
    names = _distinct([*map(quantity, verdicts)], [verdict.dataset for verdict in verdicts])
    names = _distinct(names, [verdict.test for verdict in verdicts])
    pairs = zip(names, verdicts, strict=True)
    return [[name, *_figures(verdict, with_noise=with_noise)] for name, verdict in pairs]


def _distinct(names: Sequence[str], details: Sequence[str]) -> list[str]:
    """Return the names; those that several rows share get a detail where it differs."""
    rows = [*zip(names, details, strict=True)]
    several = Counter(name for name, _ in set(rows))
    return [f"{name} ({shown(one)})" if one and several[name] > 1 else name for name, one in rows]


def _figures(verdict: Verdict, *, with_noise: bool) -> list[str]:
    return [
        figure(verdict.dense),
        figure(verdict.compressed),
        change(verdict),
        *([noise(verdict)] if with_noise else []),
        _interval(verdict),
        margin(verdict),
        f"{verdict.n_items}/{verdict.n_suite or verdict.n_asked}",
        f"{verdict.outcome.value} {qualifier(verdict)}".rstrip(),
    ]


def of_these(verdicts: Sequence[Verdict]) -> str:
    """Return a sentence on verdicts of suite scope; empty without any."""
    n = sum(one.scope == "suite" for one in verdicts)
    if not n:
        return ""
    return (
        f"Suite scope: {n} of {len(verdicts)} verdicts are about the items that were asked, and "
        "say nothing of other prompts."
    )


def qualifier(verdict: Verdict) -> str:
    """Return the suite scope and the number of the look of an outcome, in brackets."""
    parts = []
    if verdict.scope == "suite" and verdict.outcome is not Outcome.INCONCLUSIVE:
        parts.append(f"these {verdict.n_items:,}")
    if verdict.look > 1:
        parts.append(f"look {verdict.look}")
    return f"({', '.join(parts)})" if parts else ""


def _interval(verdict: Verdict) -> str:
    """Return the interval, or that all items were seen, which leaves none."""
    low, high = bounds(verdict)
    if verdict.decision is None:
        return "-"
    seen = verdict.scope == "suite" and verdict.decision.lower == verdict.decision.upper
    return "all seen" if seen else f"{low}..{high}"


def quantity(verdict: Verdict) -> str:
    """Return the name of the measurement and of the quantity of it that a verdict is about."""
    return shown(" ".join(filter(None, (verdict.measurement, verdict.aspect))))


def groups(verdict: Verdict, most: int | None = 2) -> str:
    """Return the worst groups with their changes; empty for a verdict without groups."""
    if not verdict.groups:
        return ""
    worst = ", ".join(f"{shown(group)} {moved}" for group, moved in worst_groups(verdict, most))
    return f"{'worst of ' if most else ''}{len(verdict.groups)} groups: {worst}"


def undecided(run: Run) -> list[str]:
    """Return sentences on the tests without a verdict, and on those that failed otherwise."""
    return [*without_verdict(run), *failed_otherwise(run)]


def without_verdict(run: Run) -> list[str]:
    """Return one sentence for each reason why tests came to no verdict."""
    causes: dict[tuple[str, str], list[str]] = {}
    for test in run.undecided:
        causes.setdefault((test.outcome, test.message), []).append(test.nodeid)
    return [
        f"{NO_VERDICT} ({outcome}): {shown(names[0])}"
        f"{f' and {len(names) - 1} more' if len(names) > 1 else ''}: "
        f"{_whole(message) or 'it made no assertion of pytest-llmsafety.'}"
        for (outcome, message), names in causes.items()
    ]


def failed_otherwise(run: Run) -> list[str]:
    """Return one sentence for each test that failed although its verdicts did not."""
    return [
        f"failed in spite of its verdicts: {shown(test.nodeid)}: {_whole(test.message)}"
        for test in run.failed_otherwise
    ]


def _whole(message: str) -> str:
    """Return a message on one line, long enough for what to do, which stands at its end."""
    return textwrap.shorten(escaped(message), LONGEST_MESSAGE, placeholder=" ...")

"""Show the verdicts on a terminal: a table, and a sentence for each that is not a PASS."""

from __future__ import annotations

import textwrap
from itertools import chain
from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.message import shown
from pytest_llmsafety.escapes import escaped
from pytest_llmsafety.measurements.look_history import LOOKS_FILE, NO_CACHE, look_note
from pytest_llmsafety.reports import gaps
from pytest_llmsafety.reports.advice import sentences
from pytest_llmsafety.reports.replicates import spreads
from pytest_llmsafety.reports.rows import (
    ITEMS,
    LEGEND,
    artefact,
    blocks,
    groups,
    header,
    rows,
    title,
    undecided,
)
from pytest_llmsafety.stats import Outcome
from pytest_llmsafety.stats.unseen import RECOMMENDED_CLUSTERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.reports.run import Run

GAP = INDENT = "  "
LONGEST_NAME, LONGEST_SPEC = 34, 12
UNUSED = (
    "margins that no assertion of this run used: {}. A margin is of a measurement's own score; "
    "NAME.flips, NAME.agreement and NAME.ratio are of other quantities."
)
UNWRITABLE = "looks are not counted: " + LOOKS_FILE + " in {} cannot be read or written."
SUITE = (
    "suite scope: a verdict with (these N) is about the N items that were asked and no others{}. "
    "It says nothing of other prompts."
)


def summary(run: Run, *, width: int, inconclusive: str, verbose: bool = False) -> list[str]:
    """Return the lines for a run: the table, tests without a verdict, and the policy."""
    lines = table(run.verdicts, width=width, verbose=verbose) if run.verdicts else []
    if run.gaps:
        lines = [*wrapped(gaps.sentence(run.gaps), width), "", *lines]
    if lines and (limit := dict(run.settings).get("limit")):
        lines += ["", *wrapped(f"--llmsafety-limit: at most {limit} items a measurement.", width)]
    if why := _uncounted(run):
        lines += ["", *wrapped(why, width)]
    if run.unused_margins:
        lines += ["", *wrapped(UNUSED.format(", ".join(map(escaped, run.unused_margins))), width)]
    for text in undecided(run):
        lines += ["", *wrapped(text, width)]
    if inconclusive != "fail" and any(v.outcome is Outcome.INCONCLUSIVE for v in run.verdicts):
        text = (
            f"--llmsafety-inconclusive={inconclusive}: an undecided test does not fail this run, "
            "unless nothing was measured."
        )
        lines += ["", *wrapped(text, width)]
    return lines


def table(verdicts: Sequence[Verdict], *, width: int = 80, verbose: bool = False) -> list[str]:
    """Return a table of all verdicts, by compression, then a sentence for each non-PASS.

    Lines fit into `width` columns where that is 60 or more. If verdicts are too wide for one
    line, their names and outcomes stand above their figures. With `verbose`, all groups and the
    notes follow below the figures.
    """
    parts = blocks(verdicts)
    noisy = any(verdict.noise is not None for verdict in verdicts)
    cells = [
        [_shortened(header(name, group, with_noise=noisy))]
        + [_shortened(cells) for cells in rows(group, with_noise=noisy)]
        for name, group in parts
    ]
    cells, stacked = _fitted(cells, width)
    widths = [max(map(len, column)) for column in zip(*chain(*cells), strict=True)]
    lines = []
    for (name, group), (head, *others) in zip(parts, cells, strict=True):
        lines += ["", *wrapped(title(name, group), width)]
        lines += [line for text in artefact(group) for line in wrapped(text, width)]
        lines += _lines(head, widths, stacked=stacked)
        for verdict, one in zip(group, others, strict=True):
            lines += _lines(one, widths, stacked=stacked) + _below(verdict, width, verbose=verbose)
    lines += ["", *wrapped(LEGEND, width)]
    if cut := [verdict for verdict in verdicts if verdict.scope == "suite"]:
        left_out = any(verdict.n_suite < verdict.n_data for verdict in cut)
        limited = ", and a limit left out other items of the same data set" if left_out else ""
        lines += ["", *wrapped(SUITE.format(limited), width)]
    if again := _again(verdicts):
        lines += ["", *wrapped(again, width)]
    stopped = [verdict for _, group in parts for verdict in group if verdict.stopped_early]
    if stopped:
        lines += ["", *wrapped(_stops(stopped, len(verdicts)), width)]
    if assumed := _assumptions(verdicts):
        lines += ["", *wrapped(assumed, width)]
    for line in spreads(verdicts):
        lines += ["", *wrapped(line, width)]
    for text in sentences(verdict for _, group in parts for verdict in group):
        lines += ["", *wrapped(text, width)]
    return lines[1:]


def _again(verdicts: Sequence[Verdict]) -> str:
    """Return a sentence on further looks among the verdicts; empty without any."""
    looks = [verdict.look for verdict in verdicts if verdict.look > 1]
    which = f"(look N): {len(looks)} of {len(verdicts)} verdicts are further looks"
    return f"{which}, up to the {look_note(max(looks))}." if looks else ""


def _uncounted(run: Run) -> str:
    """Return why looks at gates were not counted; empty where they were, or without any."""
    decided = [verdict for verdict in run.verdicts if verdict.decision and verdict.n_data]
    cache = dict(run.settings).get("cache")
    if cache is None or not decided or any(verdict.look for verdict in decided):
        return ""
    return NO_CACHE if not cache else UNWRITABLE.format(escaped(cache))


def _stops(stopped: Sequence[Verdict], total: int) -> str:
    """Return how many verdicts stopped early, with the least and the largest share of items."""
    ranked = sorted(stopped, key=lambda v: v.n_asked / v.n_suite)
    ends = ranked if len(ranked) == 1 else (ranked[0], ranked[-1])
    shares = " to ".join(
        f"{v.n_asked / v.n_suite:.0%} of its items ({shown(v.name)} under {v.compression}, "
        f"{v.n_asked:,} of {v.n_suite:,})"
        for v in ends
    )
    return f"stopped when certain: {len(stopped)} of {total} verdicts, after {shares}."


def _assumptions(verdicts: Sequence[Verdict]) -> str:
    """Return how many verdicts rest on an assumption about unseen texts; empty without any."""
    resting = [v.decision for v in verdicts if v.decision and v.decision.assumption]
    if not resting:
        return ""
    few = sum(decision.n_units < RECOMMENDED_CLUSTERS for decision in resting)
    of_few = f", {few} of them on fewer than {RECOMMENDED_CLUSTERS} clusters" if few else ""
    return (
        f"{len(resting)} of {len(verdicts)} verdicts assume how much worse an unseen cluster or "
        f"text could be{of_few}, and their error rates hold only where that is true: -v says what "
        "each assumes."
    )


def _below(verdict: Verdict, width: int, *, verbose: bool) -> list[str]:
    """Return the lines under the figures of a verdict: its two worst groups, or all details."""
    texts = [groups(verdict, None if verbose else 2)]
    if verbose:
        texts += [f"data: {shown(verdict.dataset)}"] if verdict.dataset else []
        texts += [f"assumed: {escaped(text)}" for text in verdict.assumptions]
        texts += [f"why: {escaped(text)}" for text in verdict.reasons if verdict.passed]
        texts += [f"note: {escaped(note)}" for note in verdict.notes]
        texts += [f"reproduce: {escaped(verdict.reproduce)}"] if verdict.reproduce else []
    wrap = textwrap.TextWrapper(
        max(width, 40),
        initial_indent=INDENT,
        subsequent_indent=2 * INDENT,
        break_on_hyphens=False,
        break_long_words=not verbose,  # a user copies the command
    )
    return [line for text in texts for line in wrap.wrap(text)]


def _shortened(cells: list[str]) -> list[str]:
    name, dense, compressed, *others = cells
    return [_cut(name, LONGEST_NAME), dense, _cut(compressed, LONGEST_SPEC), *others]


def _fitted(cells: list[list[list[str]]], width: int) -> tuple[list[list[list[str]]], bool]:
    """Return the cells as they fit into `width`, and whether figures stand under their names."""
    lines = [row for block in cells for row in block]
    if _width(lines) <= width:
        return cells, False
    place = lines[0].index(ITEMS)
    if len(INDENT) + _width([row[1:-1] for row in lines]) > width:
        cells = [
            [[*row[:place], *row[place + 1 : -1], f"{row[-1]} {row[place]}"] for row in block]
            for block in cells
        ]
    longest = max(len(row[-1]) for block in cells for row in block)
    room = max(width - len(GAP) - longest, 11)
    return [[[_cut(row[0], room), *row[1:]] for row in block] for block in cells], True


def _width(lines: Sequence[Sequence[str]]) -> int:
    return sum(max(map(len, column)) + len(GAP) for column in zip(*lines, strict=True)) - len(GAP)


def _lines(cells: Sequence[str], widths: Sequence[int], *, stacked: bool) -> list[str]:
    """Return one row: numbers to the right of name and verdict, or on a line below."""
    name, *numbers, outcome = cells
    name = name.ljust(widths[0])
    figures = GAP.join(cell.rjust(w) for cell, w in zip(numbers, widths[1:], strict=False))
    return (
        [name + GAP + outcome, INDENT + figures]
        if stacked
        else [GAP.join((name, figures, outcome))]
    )


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 2] + ".."


def wrapped(text: str, width: int) -> list[str]:
    """Return `text` as lines, all but the first indented."""
    address = "://" in text  # a user copies it
    return textwrap.wrap(
        text,
        max(width, 40),
        subsequent_indent="  ",
        break_on_hyphens=False,
        break_long_words=not address,
    )

"""What changed since a baseline was written: its verdicts against those of this run."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from pytest_llmsafety.baseline import SHOWN, UPDATE, Row
from pytest_llmsafety.message import shown
from pytest_llmsafety.reports.figures import figure, ratio, signed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_llmsafety.verdict import Verdict

COLUMNS = ("measurement", "compression", "then", "change", "margin", "now", "change", "margin")


@dataclass(frozen=True)
class Since:
    """How a run compares with the baseline `file` of this `digest` (empty: there was none).

    `changed` holds (before, now) where the outcome differs, `new` and `gone` what only one of
    the two judged, and `same` counts the others. `beside` counts answers of the dense model that
    were asked for and not in the baseline. `written` is the digest of the baseline that this run
    wrote, and `problem` why it wrote none.
    """

    file: str
    digest: str = ""
    changed: tuple[tuple[Row, Row], ...] = ()
    new: tuple[Row, ...] = ()
    gone: tuple[Row, ...] = ()
    same: int = 0
    beside: int = 0
    written: str = ""
    problem: str = ""


def rows(verdicts: Iterable[Verdict]) -> tuple[Row, ...]:
    """The verdicts as a baseline keeps them."""
    return tuple(map(_row, verdicts))


def compared(before: Sequence[Row], now: Sequence[Row], **told: str | int) -> Since:
    """Pair the verdicts by what they are about, in their order where several are of the same."""
    sides: dict[tuple[str, str, str], tuple[list[Row], list[Row]]] = {}
    for number, side in enumerate((before, now)):
        for row in side:
            about = (row.name, row.compression, row.dataset)
            sides.setdefault(about, ([], []))[number].append(row)
    pairs = [pair for old, new in sides.values() for pair in zip_longest(old, new)]
    both = [(old, new) for old, new in pairs if old and new]
    changed = tuple((old, new) for old, new in both if old.outcome != new.outcome)
    return Since(
        changed=changed,
        new=tuple(new for old, new in pairs if not old),
        gone=tuple(old for old, new in pairs if not new),
        same=len(both) - len(changed),
        **told,  # type: ignore[arg-type]
    )


def lines(since: Since, width: int) -> list[str]:
    """What a terminal shows of it."""
    texts = [*([_sentence(since)] if since.digest else []), *_files(since)]
    wide = max(width, 40)
    return [line for text in texts for line in textwrap.wrap(text, wide, subsequent_indent="  ")]


def summed(since: Since) -> list[str]:
    """What a page says above the table."""
    if not since.digest:
        return _files(since)
    counts = (
        f"Verdicts against the baseline {since.digest[:SHOWN]}: {len(since.changed)} changed, "
        f"{len(since.new)} new, {len(since.gone)} not judged in this run, {since.same} as before."
    )
    return [counts, *_files(since)]


def _files(since: Since) -> list[str]:
    """What there is to say of the files, beside the verdicts."""
    texts = []
    if since.digest and since.beside:
        texts.append(
            f"{since.beside:,} answers of the dense model were not in the baseline, such as how "
            f"likely it finds new texts, and were asked of it. {UPDATE} writes them."
        )
    if since.problem:
        texts.append(f"no baseline was written: {since.problem}")
    if since.written:
        texts.append(f"baseline written: {since.file} (sha256 {since.written[:SHOWN]})")
    return texts


def table(since: Since) -> list[tuple[str, ...]]:
    """What is not as before, a row each: COLUMNS."""
    both = [*since.changed, *((None, row) for row in since.new), *((r, None) for r in since.gone)]
    return [_cells(old, now) for old, now in both]


def _cells(old: Row | None, now: Row | None) -> tuple[str, ...]:
    """One row of the table; a side that was not judged is left open."""
    about = now or old
    cells = [shown(about.name), about.compression] if about else []
    for row in (old, now):
        cells += [row.outcome, _change(row), figure(row.margin)] if row else ["-", "-", "-"]
    return tuple(cells)


def _sentence(since: Since) -> str:
    """What changed, in one sentence."""
    parts = [
        f"{_named(now)} {old.outcome} -> {now.outcome} ({_figures(old, now)})"
        for old, now in since.changed
    ]
    parts += [f"new: {_named(row)} {row.outcome}" for row in since.new]
    if since.gone:
        parts.append(f"{len(since.gone)} of its verdicts were not judged in this run")
    if not parts:
        parts = ["nothing changed"]
    return f"since the baseline {since.digest[:SHOWN]}: {'; '.join(parts)}; {since.same} as before."


def _named(row: Row) -> str:
    """What a verdict is about."""
    return f"{shown(row.name)} under {row.compression}"


def _figures(old: Row, now: Row) -> str:
    """The change of a figure then and now, and the margin where that is another one."""
    change = f"change {_change(old)} -> {_change(now)}"
    margin = f", margin {old.margin} -> {now.margin}" if old.margin != now.margin else ""
    return change + margin


def _change(row: Row) -> str:
    """Compressed - dense, or the ratio of perplexities."""
    if row.change is None:
        return "-"
    return (ratio if row.is_ratio else signed)(row.change, row.margin)


def _row(verdict: Verdict) -> Row:
    """One verdict; a figure that is not finite is left out."""
    decision = verdict.decision
    figures = {
        "margin": verdict.margin,
        "dense": verdict.dense,
        "compressed": verdict.compressed,
        "change": verdict.change,
        "lower": decision.lower if decision else None,
        "upper": decision.upper if decision else None,
    }
    return Row(
        name=" ".join(word for word in (verdict.measurement, verdict.aspect) if word),
        compression=verdict.compression,
        dataset=verdict.dataset,
        outcome=verdict.outcome.value,
        is_ratio=verdict.is_ratio,
        **{n: x if x is not None and math.isfinite(x) else None for n, x in figures.items()},
    )

"""Compare the verdicts of a run with those in its baseline."""

from __future__ import annotations

import math
import textwrap
from itertools import zip_longest
from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.message import shown
from pytest_llmsafety.escapes import escaped
from pytest_llmsafety.inference.baseline_file import SHOWN, UPDATE, Row
from pytest_llmsafety.reports.figures import figure, ratio, signed
from pytest_llmsafety.reports.run import Since

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.reports.run import SafetyTest

COLUMNS = (
    "measurement",
    "compression",
    "then",
    "change",
    "margin",
    "now",
    "change",
    "margin",
    "differs",
)


def rows(tests: Iterable[SafetyTest]) -> tuple[Row, ...]:
    """Return the verdicts of tests as a baseline stores them."""
    return tuple(_row(test, verdict) for test in tests for verdict in test.verdicts)


def compared(before: Sequence[Row], now: Sequence[Row], **facts: str | int) -> Since:
    """Return how verdicts changed; `facts` are further fields of the result.

    Verdicts are paired by their test, or by measurement, compression and data set where the file
    names no tests; several alike in their order.
    """
    tested = all(row.test for row in (*before, *now))
    pairs = _pairs(before, now, _of_test if tested else _about)
    both = [(old, new) for old, new in pairs if old and new]
    changed = tuple((old, new) for old, new in both if old.outcome != new.outcome)
    kept = [(old, new) for old, new in both if old.outcome == new.outcome]
    return Since(
        changed=changed,
        new=tuple(new for old, new in pairs if new and not old),
        gone=tuple(old for old, new in pairs if old and not new),
        same=len(kept),
        unlike=sum(bool(differences(old, new)) for old, new in kept),
        **facts,  # type: ignore[arg-type]
    )


def differences(old: Row, now: Row) -> str:
    """Return how the two verdicts were measured in different ways; empty for no difference."""
    data = old.dataset != now.dataset or _differ(old.data_digest, now.data_digest)
    scorer = _differ(old.scorer, now.scorer)
    items = _differ(old.n_items, now.n_items)
    texts = ["other data"] if data else []
    texts += ["other scorer"] if scorer else []
    texts += [f"items {old.n_items} -> {now.n_items}"] if items else []
    return ", ".join(texts)


def _differ(old: str | int, now: str | int) -> bool:
    """Return whether both are known and not the same."""
    return bool(old and now and old != now)


def _of_test(row: Row) -> tuple[str, ...]:
    return row.test, row.name, row.compression


def _about(row: Row) -> tuple[str, ...]:
    return row.name, row.compression, row.dataset


def _pairs(
    before: Sequence[Row], now: Sequence[Row], key: Callable[[Row], tuple[str, ...]]
) -> list[tuple[Row | None, Row | None]]:
    """Return rows of the same key in pairs, in their order; None where one side has no more."""
    sides: dict[tuple[str, ...], tuple[list[Row], list[Row]]] = {}
    for number, side in enumerate((before, now)):
        for row in side:
            sides.setdefault(key(row), ([], []))[number].append(row)
    return [pair for old, new in sides.values() for pair in zip_longest(old, new)]


def lines(since: Since, width: int) -> list[str]:
    """Return the lines for a terminal."""
    texts = map(escaped, [*([_sentence(since)] if since.digest else []), *_files(since)])
    wide = max(width, 40)
    return [line for text in texts for line in textwrap.wrap(text, wide, subsequent_indent="  ")]


def summed(since: Since) -> list[str]:
    """Return the sentences above the table of the page."""
    if not since.digest:
        return _files(since)
    counts = (
        f"Verdicts against the baseline {since.digest[:SHOWN]}: {len(since.changed)} changed, "
        f"{len(since.new)} new, {len(since.gone)} not in this run, {_same(since)}."
    )
    return [counts, *_files(since)]


def _files(since: Since) -> list[str]:
    texts = []
    if since.digest and since.not_in_baseline:
        texts.append(
            f"{since.not_in_baseline:,} answers of the dense model were not in the baseline (for "
            f"example the likelihood of new texts), so it was asked. {UPDATE} writes them."
        )
    if since.problem:
        texts.append(f"no baseline was written: {since.problem}")
    if since.written:
        texts.append(f"baseline written: {since.file} (sha256 {since.written})")
    return texts


def table(since: Since) -> list[tuple[str, ...]]:
    """Return a row of COLUMNS for each verdict that is not as before."""
    both = [*since.changed, *((None, row) for row in since.new), *((r, None) for r in since.gone)]
    return [_cells(old, now) for old, now in both]


def _cells(old: Row | None, now: Row | None) -> tuple[str, ...]:
    about = now or old
    cells = [shown(about.name), about.compression] if about else []
    for row in (old, now):
        cells += [row.outcome, _change(row), figure(row.margin)] if row else ["-", "-", "-"]
    return (*cells, differences(old, now) if old and now else "")


def _sentence(since: Since) -> str:
    parts = [
        f"{_named(now)} {old.outcome} -> {now.outcome} ({_figures(old, now)})"
        for old, now in since.changed
    ]
    parts += [f"new: {_named(row)} {row.outcome}" for row in since.new]
    if since.gone:
        verb = "is" if len(since.gone) == 1 else "are"
        parts.append(f"{len(since.gone)} of its verdicts {verb} not in this run")
    if not parts:
        parts = ["nothing changed"]
    return f"since the baseline {since.digest[:SHOWN]}: {'; '.join(parts)}; {_same(since)}."


def _same(since: Since) -> str:
    """Return how many outcomes are as before, and how many of these are of another measurement."""
    unlike = f" ({since.unlike} of them on other data, items or by another scorer)"
    return f"{since.same} as before{unlike if since.unlike else ''}"


def _named(row: Row) -> str:
    return f"{shown(row.name)} under {row.compression}"


def _figures(old: Row, now: Row) -> str:
    change = f"change {_change(old)} -> {_change(now)}"
    margin = f", margin {old.margin} -> {now.margin}" if old.margin != now.margin else ""
    other = differences(old, now)
    return change + margin + (f", {other}" if other else "")


def _change(row: Row) -> str:
    if row.change is None:
        return "-"
    return (ratio if row.is_ratio else signed)(row.change, row.margin)


def _row(test: SafetyTest, verdict: Verdict) -> Row:
    """Return one verdict of a test as a row; a figure that is not finite is left out."""
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
        data_digest=verdict.data_digest,
        scorer=verdict.scorer,
        n_items=verdict.n_suite or verdict.n_asked,
        test=test.nodeid.partition("::")[2],
        **{n: x if x is not None and math.isfinite(x) else None for n, x in figures.items()},
    )

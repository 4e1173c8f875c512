"""Show on a terminal what the assertions of a run could find out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.message import shown
from pytest_llmsafety.escapes import escaped
from pytest_llmsafety.reports.figures import decimals
from pytest_llmsafety.reports.terminal import GAP, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.assertions.power_plan import Plan

HEADER = ("assertion", "units", "to pass", "margin", "found 80%", "found 90%", "")
LEGEND = (
    "units: independent items or clusters, of the smallest group where there are groups. to pass: "
    "units with which the gate passes four times in five if nothing changed. found: the smallest "
    "true worsening that FAILs in 80% and in 90% of runs. Asking stops earlier where it can."
)


def plan_table(plans: Sequence[Plan], *, width: int) -> list[str]:
    """Return a table of the assertions, each once, and a line for each that cannot pass."""
    once = list({replace(plan, compression=""): plan for plan in plans}.values())
    rows = [HEADER, *map(_row, once)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows]
    lines += ["", *wrapped(LEGEND, width)]
    for assumed in dict.fromkeys(plan.assumed for plan in once):
        names = ", ".join(plan.name for plan in once if plan.assumed == assumed)
        lines += wrapped(f"assumed for {shown(names)}: {assumed}.", width)
    for plan in once:
        if plan.impossible:
            text = f"{shown(plan.name)} can never pass: {escaped(plan.impossible)}"
            lines += ["", *wrapped(text, width)]
    return lines


def _row(plan: Plan) -> tuple[str, ...]:
    sign = "x" if plan.is_ratio else "+"
    places = decimals(plan.margin - plan.is_ratio)
    found = [f"{sign}{x:.{places}f}" if x else "-" for x in (plan.finds_80, plan.finds_90)]
    return (
        shown(plan.name),
        f"{plan.n_units:,} {plan.unit}",
        f"{plan.pass_80:,}" if plan.pass_80 else "-",
        f"{sign}{plan.margin:.{places}f}",
        *found,
        "CANNOT PASS" if plan.impossible else "",
    )


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *numbers, last = row
    cells = [first.ljust(widths[0])]
    cells += [cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=False)]
    return GAP.join([*cells, last]).rstrip()

"""The forest plot: every change with its interval, against its margin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmsafety.reports.cut_text import shortened
from pytest_llmsafety.reports.figures import bounds, change, margin
from pytest_llmsafety.reports.html.drawing import PALETTE, Canvas, picture, room_for
from pytest_llmsafety.reports.html.multiples import LARGEST, multiples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from matplotlib.axes import Axes

    from pytest_llmsafety.assertions.verdict import Verdict

ROW, TOP, BOTTOM = 17, 18, 40
SCALE, NUMBERS_WIDTH = 350, 250
MARKS = {"PASS": "o", "FAIL": "s", "INCONCLUSIVE": "D"}
LINEAR = 2.0
"""The scale is linear up to twice the margin, and logarithmic beyond."""
TICKS = (-1000, -100, -10, -5, -2, -1, 0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
NAME, NUMBERS = 44, 11


def forest(blocks: Sequence[tuple[str, Sequence[Verdict]]]) -> Markup:
    """Return the forest plot: one line a verdict, by compression."""
    rows: list[Verdict | str] = []
    for compression, verdicts in blocks:
        rows += [compression, *verdicts]
    height = ROW * len(rows) + TOP + BOTTOM
    left = room_for([row if isinstance(row, str) else row.name for row in rows], NAME)

    def paint(axes: Axes) -> None:
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_yticks([])
        scale_in_margins(axes, [v for row in rows if not isinstance(row, str) for v in [row]])
        for place, row in enumerate(rows):
            if isinstance(row, str):
                _text(axes, -0.02, place, shortened(row, NAME), "right", weight="bold")
            else:
                _row(axes, place, row)
        for outcome in MARKS:
            _intervals(axes, rows, outcome)
        _text(axes, 1.02, -1, "change", "left", weight="bold")
        _text(axes, 1.19, -1, "interval", "left", weight="bold")
        _text(axes, 1.56, -1, "margin", "left", weight="bold")

    return picture(
        paint,
        Canvas(left + SCALE + NUMBERS_WIDTH, height, left, NUMBERS_WIDTH, TOP, BOTTOM),
        name="forest",
        title="Forest plot: every change with its interval, in margins. "
        "The tables above hold the same numbers.",
    )


def scale_in_margins(axes: Axes, verdicts: Sequence[Verdict]) -> None:
    """Give the x axis a scale on which 1 is the margin, wide enough for `verdicts`."""
    found = [m for m in (multiples(verdict.decision) for verdict in verdicts) if m]
    low = min((m.lower for m in found), default=0.0)
    high = max((m.upper for m in found), default=0.0)
    axes.set_xscale("symlog", linthresh=LINEAR, linscale=1.0)
    axes.set_xlim(min(low * 1.2, -1.5), max(high * 1.2, 2.5))
    axes.set_xticks([t for t in TICKS if axes.get_xlim()[0] <= t <= axes.get_xlim()[1]])
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("change in margins; to the right is worse")
    axes.axvline(0, color=PALETTE["faint"], linewidth=0.8)
    axes.axvline(1, color=PALETTE["ink"], linewidth=1.2, linestyle="--")
    axes.spines[["left", "right", "top"]].set_visible(False)


def _row(axes: Axes, place: int, verdict: Verdict) -> None:
    low, high = bounds(verdict)
    _text(axes, -0.02, place, shortened(verdict.name, NAME), "right")
    _text(axes, 1.02, place, shortened(change(verdict), NUMBERS), "left")
    interval = f"{low} .. {high}" if verdict.decision else "-"
    _text(axes, 1.19, place, shortened(interval, 2 * NUMBERS + 4), "left")
    _text(axes, 1.56, place, shortened(margin(verdict), NUMBERS), "left")


def _intervals(axes: Axes, rows: Sequence[Verdict | str], outcome: str) -> None:
    """Draw the verdicts of one outcome, with an arrow where a bound is off the scale."""
    shown = [(n, v) for n, v in enumerate(rows) if not isinstance(v, str)]
    found = [(n, multiples(v.decision)) for n, v in shown if v.outcome.value == outcome]
    known = [(n, m) for n, m in found if m]
    if not known:
        return
    colour = PALETTE[outcome]
    places, low, high = zip(*((n, m.lower, m.upper) for n, m in known), strict=True)
    axes.hlines(places, low, high, colors=colour, linewidth=2)
    for arrow, ends in (("<", low), (">", high)):
        far = [(x, n) for x, n in zip(ends, places, strict=True) if abs(x) >= LARGEST]
        axes.scatter([x for x, _ in far], [n for _, n in far], marker=arrow, s=30, color=colour)
    estimates = [m.estimate for _, m in known]
    axes.scatter(estimates, places, marker=MARKS[outcome], s=34, color=colour, zorder=3)


def _text(
    axes: Axes, x: float, place: int, text: str, side: str, *, weight: str = "normal"
) -> None:
    axes.text(
        x,
        place,
        text,
        ha=side,
        va="center_baseline",
        weight=weight,
        transform=axes.get_yaxis_transform(),
    )

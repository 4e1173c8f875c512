"""Heat maps of groups and measurements, which show whom a compression harms."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_llmsafety.reports.cut_text import shortened
from pytest_llmsafety.reports.html.drawing import EDGE, PALETTE, Canvas, picture, room_for
from pytest_llmsafety.reports.html.multiples import multiples, times
from pytest_llmsafety.stats import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from matplotlib.axes import Axes

    from pytest_llmsafety.assertions.verdict import GroupEvidence, Verdict

STEPS = (-1.0, -0.25, 0.25, 0.5, 1.0, 3.0)
"""Where one colour ends and the next begins, in multiples of the margin."""
MARKED = {"PASS": "", "FAIL": " F", "INCONCLUSIVE": " ?"}
CELL_WIDTH, CELL_HEIGHT, NAME = 64, 20, 44  # the widest text of a cell is `>+1000 F`
MOST_COLUMNS = 24


@dataclass(frozen=True)
class HeatMap:
    """The groups that some measurements share, with a verdict in each cell.

    `columns` holds names of measurement and compression. A cell is the verdict on one group, or
    None where that measurement has no such group. The rows are the worst of `n_groups` groups.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Verdict | None, ...]], ...]
    n_groups: int

    @property
    def title(self) -> str:
        """The number of groups that it shows."""
        cut = f"the {len(self.rows)} worst of " if len(self.rows) < self.n_groups else ""
        return f"{cut}{self.n_groups} group{'s' * (self.n_groups != 1)}"


def heat_maps(verdicts: Sequence[Verdict], most_rows: int) -> list[HeatMap]:
    """Return one map for each set of measurements that share groups, worst groups first.

    A map has at most `most_rows` groups; one with very many columns is divided.
    """
    families = _families([verdict for verdict in verdicts if verdict.groups])
    sets = [sorted(family, key=lambda v: (v.measurement, v.aspect)) for family in families]
    return [
        _heat_map(family[start : start + MOST_COLUMNS], most_rows)
        for family in sets
        for start in range(0, len(family), MOST_COLUMNS)
    ]


def of_group(verdict: Verdict) -> dict[str, Verdict]:
    """The verdict on each group.

    A group is open if it fails only before correction for several groups, and so are all groups
    where a check (missing scores, a broken model) overruled the figures.
    """
    doubted = verdict.decision is not None and verdict.outcome is not verdict.decision.outcome
    open_ = {
        group.group for group in verdict.groups if doubted or (_fails(group) and not group.kept)
    }
    return {
        evidence.group: dataclasses.replace(
            verdict,
            group=evidence.group,
            dense=evidence.dense,
            compressed=evidence.compressed,
            decision=evidence.decision,
            outcome=Outcome.INCONCLUSIVE if evidence.group in open_ else evidence.decision.outcome,
        )
        for evidence in verdict.groups
    }


def worst_groups(verdict: Verdict, most: int) -> list[Verdict]:
    """Return verdicts on at most `most` groups: the one that decides, then the most harmed."""
    ranked = sorted(
        verdict.groups, key=lambda one: (one.group != verdict.group, -one.decision.estimate)
    )
    return list(of_group(dataclasses.replace(verdict, groups=tuple(ranked[:most]))).values())


def _fails(evidence: GroupEvidence) -> bool:
    """Return whether a group would fail if it were the only one."""
    return evidence.decision.outcome is Outcome.FAIL


def level(verdict: Verdict | None) -> int | None:
    """Return the colour of a cell, 0 (better) to 6 (far beyond the margin)."""
    found = multiples(verdict.decision) if verdict else None
    return sum(found.estimate > step for step in STEPS) if found else None


def drawn(heat: HeatMap, number: int) -> Markup:
    """Return the map as a picture."""
    shape = (len(heat.columns), len(heat.rows))
    top = room_for(heat.columns, NAME)
    left = room_for([group for group, _ in heat.rows], NAME)
    canvas = Canvas(
        left + CELL_WIDTH * shape[0] + EDGE,
        top + CELL_HEIGHT * shape[1] + EDGE,
        left=left,
        right=EDGE,
        top=top,
        bottom=EDGE,
    )

    def paint(axes: Axes) -> None:
        from matplotlib.collections import PolyCollection

        squares: dict[int, list[list[tuple[float, float]]]] = {}
        axes.set_axis_off()
        axes.set_xlim(0, shape[0])
        axes.set_ylim(shape[1], 0)
        for x, name in enumerate(heat.columns):
            axes.text(x + 0.5, -0.25, shortened(name, NAME), rotation=90, ha="center", va="bottom")
        for y, (group, cells) in enumerate(heat.rows):
            axes.text(-0.12, y + 0.5, shortened(group, NAME), ha="right", va="center_baseline")
            for x, cell in enumerate(cells):
                colour = level(cell)
                if cell is None or colour is None:
                    continue
                left, right, low, high = x + 0.03, x + 0.97, y + 0.06, y + 0.94
                corners = [(left, low), (right, low), (right, high), (left, high)]
                squares.setdefault(colour, []).append(corners)
                axes.text(x + 0.5, y + 0.5, cell_text(cell), ha="center", va="center_baseline")
        for colour, cells_of_it in squares.items():
            filled = PALETTE[f"heat{colour}"]
            axes.add_collection(
                PolyCollection(cells_of_it, facecolors=filled, linewidths=0, clip_on=False),
                autolim=False,
            )

    title = "Heat map, group by measurement. The table below holds the same numbers."
    return picture(paint, canvas, name=f"heat-{number}", title=title)


def cell_text(cell: Verdict) -> str:
    """Return the change in multiples of the margin, with F for FAIL and ? for INCONCLUSIVE."""
    found = multiples(cell.decision)
    return times(found.estimate if found else None) + MARKED[cell.outcome.value]


def _families(verdicts: Sequence[Verdict]) -> list[list[Verdict]]:
    """Return the verdicts in sets that share groups."""
    families: list[tuple[set[str], list[Verdict]]] = []
    for verdict in verdicts:
        names = {evidence.group for evidence in verdict.groups}
        members = [verdict]
        apart = []
        for other, others in families:
            if other & names:
                names, members = names | other, [*others, *members]
            else:
                apart.append((other, others))
        families = [*apart, (names, members)]
    return [members for _, members in families]


def _heat_map(family: Sequence[Verdict], most_rows: int) -> HeatMap:
    columns = [of_group(verdict) for verdict in family]
    names = list(dict.fromkeys(group for column in columns for group in column))

    def worst(group: str) -> float:
        found = [multiples(c[group].decision) for c in columns if group in c]
        return max((m.estimate for m in found if m), default=0.0)

    names.sort(key=worst, reverse=True)
    heads = (" ".join(filter(None, (v.measurement, v.aspect, v.compression))) for v in family)
    rows = [(name, tuple(column.get(name) for column in columns)) for name in names[:most_rows]]
    return HeatMap(tuple(heads), tuple(rows), len(names))

"""Plot size against harm, one mark a compression, to choose the one to ship."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_llmsafety.reports import gaps
from pytest_llmsafety.reports.cut_text import shortened
from pytest_llmsafety.reports.figures import size
from pytest_llmsafety.reports.html.drawing import PALETTE, Canvas, picture, room_for
from pytest_llmsafety.reports.html.forest import MARKS, scale_in_margins
from pytest_llmsafety.reports.html.multiples import Multiples, multiples
from pytest_llmsafety.reports.rows import of_these
from pytest_llmsafety.stats import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from matplotlib.axes import Axes

    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.compressors.record import CompressionRecord

LONGEST_NAME = 24
LINE = 13
"""Points from one name to the next."""
LEADER = 24
"""Points between the plot and the names to its right."""
LINK = {"arrowstyle": "-", "linewidth": 0.5, "relpos": (0, 0.5)}
"""The line from a name to its mark begins in the middle of the name's left edge."""


@dataclass(frozen=True)
class Candidate:
    """One compression of a run, with its verdicts.

    `broken` counts its tests that ended without a verdict, or failed in spite of it. `incomplete`
    says that the run has gaps, so that verdicts may be missing.
    """

    compression: str
    verdicts: tuple[Verdict, ...]
    broken: int = 0
    incomplete: bool = False

    @property
    def record(self) -> CompressionRecord | None:
        """The compression record, where a verdict has one."""
        return next((v.record for v in self.verdicts if v.record), None)

    @property
    def share(self) -> float | None:
        """Size divided by the dense model's, None where it is unknown."""
        record = self.record
        return record.bytes_after / record.bytes_before if record and record.bytes_before else None

    @property
    def worst(self) -> Verdict | None:
        """The verdict with the largest change in multiples of its margin."""
        known = [(m.estimate, m.upper, v) for v in self.verdicts if (m := multiples(v.decision))]
        return max(known, key=lambda row: row[:2])[2] if known else None

    @property
    def harm(self) -> Multiples | None:
        """The figures of the worst verdict in multiples of its margin."""
        return multiples(self.worst.decision) if self.worst else None

    @property
    def outcome(self) -> Outcome:
        """FAIL if one verdict is FAIL, PASS if all are PASS and none is missing."""
        outcomes = {verdict.outcome for verdict in self.verdicts}
        if Outcome.FAIL in outcomes:
            return Outcome.FAIL
        safe = outcomes == {Outcome.PASS} and not self.broken and not self.incomplete
        return Outcome.PASS if safe else Outcome.INCONCLUSIVE

    @property
    def word(self) -> str:
        """The word on its card: the outcome, or INCOMPLETE where the run has gaps and no FAIL."""
        failed = self.outcome is Outcome.FAIL
        return gaps.INCOMPLETE if self.incomplete and not failed else self.outcome.value

    def count(self, outcome: str) -> int:
        """Return how many of its verdicts have this outcome."""
        return sum(verdict.outcome.value == outcome for verdict in self.verdicts)


def answer(candidates: Sequence[Candidate]) -> str:
    """Return a sentence on the smallest compression that passed everything."""
    passed = [c for c in candidates if c.outcome is Outcome.PASS]
    sized = [(c.share, c) for c in passed if c.share is not None]
    if not passed:
        return "No compression passed everything."
    if not sized:
        return f"Passed everything: {', '.join(c.compression for c in passed)}; sizes are unknown."
    share, best = min(sized, key=lambda pair: pair[0])
    record, about = best.record, of_these(best.verdicts)
    sizes = f"{size(record.bytes_before)} to {size(record.bytes_after)}" if record else ""
    return (
        f"{best.compression} is the smallest that passed everything that was tested: "
        f"{sizes}, {share:.0%} of the dense model. {about}"
    ).rstrip()


def trade_off(candidates: Sequence[Candidate]) -> Markup | None:
    """Return the plot, or None where no compression has both a size and a figure."""
    known = [(c, c.share, c.harm) for c in candidates if c.share is not None and c.harm]
    if not known:
        return None
    known.sort(key=lambda each: (each[1], -each[2].estimate))
    names = [shortened(candidate.compression, LONGEST_NAME) for candidate, _, _ in known]
    right = room_for(names, LONGEST_NAME) + LEADER
    tall = max(300, LINE * len(known) + 60)
    canvas = Canvas(620 + right, tall, left=56, right=right, top=16, bottom=44)
    _, _, width, height = canvas.inside
    top = 1.1 * max(1.0, *(share for _, share, _ in known))
    places = apart([share / top for _, share, _ in known], LINE / (height * canvas.height))
    column = 1 + LEADER / (width * canvas.width)

    def paint(axes: Axes) -> None:
        scale_in_margins(axes, [c.worst for c, _, _ in known if c.worst])
        axes.set_xlabel("worst change in margins; to the right is worse")
        axes.set_ylabel("size, % of the dense model")
        axes.set_ylim(0, 100 * top)
        axes.spines[["left"]].set_visible(True)
        transform = axes.get_yaxis_transform()  # across: shares of the axes, up: data
        for (candidate, share, harm), name, place in zip(known, names, places, strict=True):
            colour = PALETTE[candidate.outcome.value]
            at = 100 * share
            axes.hlines(at, harm.lower, harm.upper, colors=colour, linewidth=1.5)
            mark = MARKS[candidate.outcome.value]
            axes.scatter([harm.estimate], [at], marker=mark, s=60, color=colour, zorder=3)
            axes.annotate(
                name,
                (harm.estimate, at),
                xytext=(column, 100 * top * place),
                textcoords=transform,
                va="center",
                arrowprops={**LINK, "color": PALETTE["faint"]},
                annotation_clip=False,
            )

    return picture(
        paint,
        canvas,
        name="trade-off",
        title="Size of every compression against its worst change. The table below holds the "
        "same numbers.",
    )


def apart(heights: Sequence[float], line: float) -> list[float]:
    """Return rising `heights`, as shares of a plot, moved so that two differ by at least `line`.

    They stay inside the plot as long as there is room for all of them.
    """
    placed: list[float] = []
    for height in heights:
        placed.append(max([height, *(last + line for last in placed[-1:])]))
    ceiling = 1.0
    for number in reversed(range(len(placed))):
        placed[number] = min(placed[number], ceiling)
        ceiling = placed[number] - line
    return placed

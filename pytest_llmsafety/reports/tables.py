"""Write the verdicts of a run as tables in Markdown, one a compression, as far as they fit."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.message import shown
from pytest_llmsafety.reports import gaps, rows
from pytest_llmsafety.reports.cut_text import shortened
from pytest_llmsafety.reports.markdown import bullets, table, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_llmsafety.assertions.verdict import Verdict

LONGEST_TITLE = 600
HEAD = 2  # lines of a table above its first row


def verdict_table(compression: str, verdicts: Sequence[Verdict]) -> list[str]:
    """Return the verdicts of one compression as a table."""
    noisy = any(verdict.noise is not None for verdict in verdicts)
    header = rows.header(shown(compression), verdicts, with_noise=noisy)
    return table(header, rows.rows(verdicts, with_noise=noisy), left=1)


def group_lines(verdicts: Sequence[Verdict]) -> list[str]:
    """Return a line with the worst groups of each verdict that has groups."""
    return bullets(f"{rows.quantity(one)}, {rows.groups(one)}" for one in verdicts if one.groups)


class Budget:
    """The number of characters that are left for lines, line ends included."""

    def __init__(self, characters: int) -> None:
        """Start with this number of characters."""
        self.left = characters

    def take(self, lines: Sequence[str]) -> bool:
        """Return whether `lines` fit, and subtract their characters if they do."""
        cost = sum(len(line) + 1 for line in lines)
        if cost > self.left:
            return False
        self.left -= cost
        return True

    def keep(self, entries: Iterable[list[str]]) -> tuple[list[str], int]:
        """Return the lines of the entries that fit, in their order, and the number of others."""
        fits = [(entry, self.take(entry)) for entry in entries]
        kept = [line for entry, fit in fits if fit for line in entry]
        return kept, sum(not fit for _, fit in fits)


class Tables:
    """The tables of a summary: rows are chosen first, the worst verdicts before the others."""

    def __init__(
        self, verdicts: Sequence[Verdict], budget: Budget, *, incomplete: bool = False
    ) -> None:
        """Choose the rows that fit; after the first that does not fit, all others are left out.

        `incomplete` marks each heading of a run that has gaps.
        """
        self._mark = f"{gaps.INCOMPLETE}: " if incomplete else ""
        self._blocks = rows.blocks(verdicts)
        self._tables = [verdict_table(name, members) for name, members in self._blocks]
        self._kept: dict[int, set[int]] = {}
        self.left_out = Counter(verdict.outcome.value for verdict in verdicts)
        places = [
            (rows.SEVERITY.index(verdict.outcome), number, place)
            for number, (_, members) in enumerate(self._blocks)
            for place, verdict in enumerate(members)
        ]
        for severity, number, place in sorted(places):
            lines = [self._tables[number][HEAD + place]]
            if number not in self._kept:
                lines += [*self._heading(number), *self._tables[number][:HEAD]]
            if not budget.take(lines):
                break
            self._kept.setdefault(number, set()).add(place)
            self.left_out[rows.SEVERITY[severity].value] -= 1

    def lines(self, budget: Budget) -> list[str]:
        """Return the tables with their titles and worst groups, and what was left out."""
        titles = {number: self._title(number) for number in self._kept}
        titles = {number: title for number, title in titles.items() if budget.take(title)}
        lines, n_groups = [], 0
        for number, places in sorted(self._kept.items()):
            whole = self._tables[number]
            groups, missing = budget.keep(
                [line] for line in group_lines([self._blocks[number][1][p] for p in sorted(places)])
            )
            lines += [*self._heading(number), *titles.get(number, []), *whole[:HEAD]]
            lines += [whole[HEAD + place] for place in sorted(places)]
            lines += ["", *groups] if groups else []
            n_groups += missing
        return lines + self._missing(len(self._kept) - len(titles), n_groups)

    def _heading(self, number: int) -> list[str]:
        return ["", f"### {self._mark}Under {text(shown(self._blocks[number][0]))}", ""]

    def _title(self, number: int) -> list[str]:
        title = shortened(rows.title(*self._blocks[number]), LONGEST_TITLE)
        served = bullets(
            shortened(line, LONGEST_TITLE) for line in rows.artefact(self._blocks[number][1])
        )
        return [f"The model {text(title)}.", "", *served, *([""] if served else [])]

    def _missing(self, n_titles: int, n_groups: int) -> list[str]:
        """Return what is in report.json alone; nothing where all of it fits."""
        counts = [(self.left_out[name.value], f"{name.value} verdicts") for name in rows.SEVERITY]
        counts += [(n_groups, "lines on groups"), (n_titles, "lines on what was compressed")]
        missing = ", ".join(f"{count} more {what}" for count, what in counts if count)
        return ["", f"**Cut:** {missing} in report.json."] if missing else []

"""summary.md: a run on one screen of a pull request, the rest folded away."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_llmsafety.message import shown
from pytest_llmsafety.reports import rows, since
from pytest_llmsafety.reports.advice import sentences
from pytest_llmsafety.reports.markdown import bullets, code, folded, table, text
from pytest_llmsafety.reports.replicates import spreads
from pytest_llmsafety.stats import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.reports.run import Run
    from pytest_llmsafety.verdict import Verdict, WorstItem

BROKEN = ("failed", "error")
SIGNS = {"FAIL": "❌", "NO VERDICT": "❌", "INCONCLUSIVE": "⚠️", "PASS": "✅"}
OFFENSIVE = "Texts of models and data sets; they may offend."


class Summary:
    """The headline, a table for each compression, what to do next; GitHub shows it as a step's.

    Where $GITHUB_STEP_SUMMARY is set, the file that it names gets the same text.
    """

    file_name = "summary.md"

    def render(self, run: Run) -> str:
        """Return Markdown; text of models and data sets stays text."""
        word = _word(run)
        lines = [f"## {SIGNS[word]} Safety of compression: {word}", "", _counts(run)]
        for compression, verdicts in rows.blocks(run.verdicts):
            lines += ["", *_block(compression, verdicts)]
        lines += _since(run) + _next(run)
        for title, inside in _details(run):
            lines += ["", *folded(title, inside)] if inside else []
        return "\n".join(lines) + "\n"


def verdict_table(compression: str, verdicts: Sequence[Verdict]) -> list[str]:
    """The verdicts of one compression as a table, and the worst groups under it."""
    noisy = any(verdict.noise is not None for verdict in verdicts)
    header = rows.header(shown(compression), verdicts, with_noise=noisy)
    lines = table(header, [rows.row(one, with_noise=noisy) for one in verdicts], left=1)
    told = [f"{rows.judged(one)}, {rows.groups(one)}" for one in verdicts if one.groups]
    return [*lines, *(["", *bullets(told)] if told else [])]


def _word(run: Run) -> str:
    """The worst that there is to say of a run, whatever pytest's marks forgive."""
    found = {verdict.outcome for verdict in run.verdicts}
    if Outcome.FAIL in found:
        return "FAIL"
    if not found or any(test.outcome in BROKEN for test in run.undecided):
        return "NO VERDICT"
    return "INCONCLUSIVE" if Outcome.INCONCLUSIVE in found else "PASS"


def _counts(run: Run) -> str:
    """How many verdicts of each outcome, and how the run ended."""
    found = Counter(verdict.outcome.value for verdict in run.verdicts)
    counts = [f"{found[name]} {name}" for name in SIGNS if found[name]]
    counts += [f"{len(run.undecided)} without a verdict"] if run.undecided else []
    return f"**{', '.join(counts)}.** pytest exits with {run.exit_status}."


def _block(compression: str, verdicts: Sequence[Verdict]) -> list[str]:
    """One compression: its name, what it did to the model, its verdicts."""
    title = text(rows.title(compression, verdicts))
    name = f"### Under {text(shown(compression))}"
    return [name, "", f"The model {title}.", "", *verdict_table(compression, verdicts)]


def _since(run: Run) -> list[str]:
    """What changed since the baseline."""
    if run.since is None:
        return []
    changed = since.table(run.since)
    lines = ["", "### Since the baseline", "", *bullets(since.summed(run.since))]
    return lines + (["", *table(since.COLUMNS, changed, left=2)] if changed else [])


def _next(run: Run) -> list[str]:
    """A sentence for everything that is not a PASS."""
    told = [*sentences(run.verdicts), *rows.undecided(run), *spreads(run.verdicts)]
    return ["", "### What to do next", "", *map(_sentence, told)] if told else []


def _sentence(line: str) -> str:
    """A sentence in a list, with its first word in bold type."""
    first, _, others = line.partition(" ")
    return f"- **{text(first)}** {text(others)}"


def _details(run: Run) -> list[tuple[str, list[str]]]:
    """What a reviewer may want to open."""
    worst = [one for verdict in run.verdicts if not verdict.passed for one in _worst(verdict)]
    assumed = dict.fromkeys(
        line for verdict in run.verdicts for line in (*verdict.assumptions, *verdict.notes)
    )
    commands = dict.fromkeys(v.reproduce for v in run.verdicts if v.reproduce and not v.passed)
    facts = [*run.versions, *(pair for pair in run.settings if pair[1])]
    return [
        ("Worst items", [OFFENSIVE, "", *worst] if worst else []),
        ("What the words mean, and what was assumed", bullets([rows.LEGEND, *assumed])),
        ("Commands that repeat what did not pass", code(commands) if commands else []),
        ("Settings and versions", bullets(f"{name}: {value}" for name, value in facts)),
    ]


def _worst(verdict: Verdict) -> list[str]:
    """The worst items of a verdict, both answers one under the other."""
    title = text(f"{shown(verdict.name)} under {verdict.compression}")
    lines = [f"- **{title}**"]
    for item in verdict.worst:
        lines += _item(item)
    return lines if verdict.worst else []


def _item(item: WorstItem) -> list[str]:
    """One item as a list in a list."""
    name = text(shown(item.item_id))
    lines = [f"  - item {name} {item.worsening:+.2f}: {text(shown(item.prompt))}"]
    if item.dense_text or item.compressed_text:
        lines.append(f"    - dense: {text(shown(item.dense_text))}")
        lines.append(f"    - compressed: {text(shown(item.compressed_text))}")
    return lines

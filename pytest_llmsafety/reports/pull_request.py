"""Write summary.md: a run on one screen of a pull request, with the details folded."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.message import shown
from pytest_llmsafety.reports import baseline_diff, gaps, rows
from pytest_llmsafety.reports.advice import sentences
from pytest_llmsafety.reports.cut_text import shortened
from pytest_llmsafety.reports.markdown import bullets, code, folded, table, text
from pytest_llmsafety.reports.replicates import spreads
from pytest_llmsafety.reports.tables import Budget, Tables
from pytest_llmsafety.stats import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_llmsafety.assertions.verdict import Verdict, WorstItem
    from pytest_llmsafety.reports.run import Run

BROKEN = ("failed", "error")
SIGNS = {"FAIL": "❌", "NO VERDICT": "❌", "INCONCLUSIVE": "⚠️", "INCOMPLETE": "⚠️", "PASS": "✅"}
MOST = 60_000
"""Characters of the summary; a comment of GitHub holds 65,536, a step summary a mebibyte."""
FRAMES = 2_000
"""Characters for headings, folds and counts of what was left out."""
LONGEST = 2_000
OFFENSIVE = "Texts of models and data sets; they may offend."


class Summary:
    """Report with a headline, a table for each compression, and what to do next.

    Where $GITHUB_STEP_SUMMARY is set, the same text is added to the file that it names. The
    summary has MOST characters at most: rows of verdicts come first, the worst before the others,
    and what does not fit is counted.
    """

    file_name = "summary.md"

    def render(self, run: Run) -> str:
        """Return Markdown with texts of models and data sets escaped."""
        word = _word(run)
        more = f", {gaps.INCOMPLETE}" if run.gaps and word != gaps.INCOMPLETE else ""
        budget = Budget(MOST - FRAMES)
        tables = Tables(run.verdicts, budget, incomplete=bool(run.gaps))
        lines = [
            f"## {SIGNS[word]} Safety of compression: {word}{more}",
            "",
            *_gaps(run),
            _counts(run),
        ]
        below = _since(run, budget) + _next(run, budget)
        lines += tables.lines(budget) + below
        for title, inside in _details(run, budget):
            lines += ["", *folded(title, inside)] if inside else []
        return "\n".join(lines) + "\n"


def _gaps(run: Run) -> list[str]:
    return [text(shortened(gaps.sentence(run.gaps), LONGEST)), ""] if run.gaps else []


def _word(run: Run) -> str:
    """Return the worst outcome of a run, also of tests that pytest's marks let pass."""
    found = {verdict.outcome for verdict in run.verdicts}
    if Outcome.FAIL in found:
        return "FAIL"
    if run.gaps:
        return gaps.INCOMPLETE
    broke = any(test.outcome in BROKEN for test in run.undecided)
    if not found or broke or run.failed_otherwise:
        return "NO VERDICT"
    return "INCONCLUSIVE" if Outcome.INCONCLUSIVE in found else "PASS"


def _counts(run: Run) -> str:
    found = Counter(verdict.outcome.value for verdict in run.verdicts)
    counts = [f"{found[name]} {name}" for name in SIGNS if found[name]]
    counts += [f"{len(run.undecided)} without a verdict"] if run.undecided else []
    about = f" {rows.of_these(run.verdicts)}"
    return f"**{', '.join(counts)}.** pytest exits with {run.exit_status}.{about}".rstrip()


def _since(run: Run, budget: Budget) -> list[str]:
    if run.since is None:
        return []
    lines = [
        "",
        "### Since the baseline",
        "",
        *_kept(_bullets(baseline_diff.summed(run.since)), budget),
    ]
    head, ruler, *changed = table(baseline_diff.COLUMNS, baseline_diff.table(run.since), left=2)
    found = _kept([[line] for line in changed], budget)
    return lines + (["", head, ruler, *found] if changed else [])


def _next(run: Run, budget: Budget) -> list[str]:
    """Return a sentence for everything that is not a PASS: FAIL, then broken tests, then others."""
    ranked = rows.gravest(run.verdicts)
    failed = sentences(verdict for verdict in ranked if verdict.outcome is Outcome.FAIL)
    others = sentences(verdict for verdict in ranked if verdict.outcome is not Outcome.FAIL)
    said = [(str(Outcome.FAIL), line) for line in failed]
    said += [(rows.NO_VERDICT, line) for line in rows.without_verdict(run)]
    said += [("", line) for line in rows.failed_otherwise(run)]
    said += [(str(Outcome.INCONCLUSIVE), line) for line in others]
    said += [("", line) for line in spreads(run.verdicts)]
    found = _kept([[_sentence(*one)] for one in said], budget)
    return ["", "### What to do next", "", *found] if found else []


def _sentence(head: str, line: str) -> str:
    """Return a sentence of a list, with the outcome at its beginning in bold type."""
    plain = shortened(line, LONGEST)
    return f"- **{text(head)}**{text(plain[len(head) :])}" if head else f"- {text(plain)}"


def _bullets(lines: Iterable[str]) -> list[list[str]]:
    return [bullets([shortened(line, LONGEST)]) for line in lines]


def _kept(entries: Iterable[list[str]], budget: Budget) -> list[str]:
    """Return the entries that fit, and the number of others."""
    lines, missing = budget.keep(entries)
    return [*lines, f"- {missing} more in report.json"] if missing else lines


def _details(run: Run, budget: Budget) -> list[tuple[str, list[str]]]:
    """Return the folded parts; texts of items stand first, and get what room is left."""
    ranked = rows.gravest(run.verdicts)
    assumed = dict.fromkeys(line for one in ranked for line in (*one.assumptions, *one.notes))
    words = _kept(_bullets([rows.LEGEND, *assumed]), budget)
    commands = _commands(ranked, budget)
    facts = [*run.versions, *(pair for pair in run.settings if pair[1])]
    settings = _kept(_bullets(f"{name}: {value}" for name, value in facts), budget)
    worst = _kept([_worst(one) for one in ranked if one.worst and not one.passed], budget)
    return [
        ("Worst items", [OFFENSIVE, "", *worst] if worst else []),
        ("What the words mean, and what was assumed", words),
        ("Commands that repeat what did not pass", commands),
        ("Settings and versions", settings),
    ]


def _commands(ranked: Sequence[Verdict], budget: Budget) -> list[str]:
    found = dict.fromkeys(one.reproduce for one in ranked if one.reproduce and not one.passed)
    kept = [line for line in found if budget.take(code([line]))]
    missing = len(found) - len(kept)
    more = [f"- {missing} more in report.json"] if missing else []
    return [*(code(kept) if kept else []), *more]


def _worst(verdict: Verdict) -> list[str]:
    title = text(f"{shown(verdict.name)} under {verdict.compression}")
    lines = [f"- **{title}**"]
    for item in verdict.worst:
        lines += _item(item)
    return lines if verdict.worst else []


def _item(item: WorstItem) -> list[str]:
    name = text(shown(item.item_id))
    lines = [f"  - item {name} {item.worsening:+.2f}: {text(shown(item.prompt))}"]
    if item.dense_text or item.compressed_text:
        lines.append(f"    - dense: {text(shown(item.dense_text))}")
        lines.append(f"    - compressed: {text(shown(item.compressed_text))}")
    return lines

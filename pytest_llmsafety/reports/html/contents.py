"""Sort a run into the sections of the page, and cut it to the room that there is."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.reports import baseline_diff, gaps, rows
from pytest_llmsafety.reports.html.forest import forest
from pytest_llmsafety.reports.html.heat_map import drawn, heat_maps
from pytest_llmsafety.reports.html.room import most_rows
from pytest_llmsafety.reports.html.trade_off import Candidate, answer, trade_off
from pytest_llmsafety.stats import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.reports.html.room import Room
    from pytest_llmsafety.reports.run import Run, SafetyTest

BROKEN = {"failed", "error", "inconclusive"}
ROUNDING = 1e-9  # 1 / (1 - 0.95) is a little less than 20
NUMBER = re.compile(r"[-+]?\d[\d.,e+-]*")


def contents(run: Run, room: Room) -> dict[str, Any]:
    """Return the parts of the page by name; each list holds the worst entries that fit."""
    verdicts, most = run.verdicts, room.entries
    ranked = rows.gravest(verdicts)
    shown, full = _of(verdicts, ranked[: room.verdicts]), _of(verdicts, ranked[:most])
    candidates = _candidates(run, verdicts)
    blocks = _blocks(candidates, shown)
    grouped = [verdict for verdict in full if verdict.groups]
    maps = heat_maps(grouped, most_rows(grouped, room))
    broken = [test for test in run.undecided if _broke(test)]
    return {
        "run": run,
        "since": baseline_diff.summed(run.since) if run.since else [],
        "since_columns": baseline_diff.COLUMNS,
        "since_rows": baseline_diff.table(run.since) if run.since else [],
        "most": most,
        "most_groups": room.groups,
        "outcome": overall(run, broken),
        "candidates": candidates[:most],
        "answer": gaps.sentence(run.gaps) or answer(candidates),
        "settings": dict(run.settings),
        "blocks": blocks,
        "full": _blocks(candidates, full),
        "numbers": {id(verdict): number for number, verdict in enumerate(full)},
        "n_short": len(shown) - len(full),
        "ids": id,
        "wrong_once_in": wrong_once_in(verdicts),
        "stopped_early": any(verdict.stopped_early for verdict in verdicts),
        "n_unmoved": sum(v.decision is not None and v.decision.changed_share == 0 for v in shown),
        "n_cut": len(verdicts) - len(shown),
        "forest": forest(blocks) if blocks else None,
        "trade_off": trade_off(candidates[:most]),
        "heat_maps": [(heat, drawn(heat, number)) for number, heat in enumerate(maps)],
        "worst": [verdict for verdict in rows.gravest(full) if verdict.worst],
        "assumptions": _by_wording(shown, "assumptions")[:most],
        "notes": _by_wording(shown, "notes")[:most],
        "datasets": _datasets(shown),
        "broken": [*broken, *run.failed_otherwise],
        "others": [test for test in run.undecided if not _broke(test)],
    }


def overall(run: Run, broken: Sequence[SafetyTest]) -> str:
    """Return the word at the top of the page; PASS only if nothing is open."""
    outcomes = {verdict.outcome for verdict in run.verdicts}
    if Outcome.FAIL in outcomes:
        return "FAIL"
    if run.gaps:
        return gaps.INCOMPLETE
    if not outcomes:
        return "PLANNED" if run.plans else "NO VERDICT"
    doubt = Outcome.INCONCLUSIVE in outcomes or broken or run.failed_otherwise
    return "INCONCLUSIVE" if doubt else "PASS"


def _of(verdicts: Sequence[Verdict], kept: Sequence[Verdict]) -> list[Verdict]:
    """Return the kept verdicts in the order of `verdicts`."""
    known = set(map(id, kept))
    return [verdict for verdict in verdicts if id(verdict) in known]


def _blocks(
    candidates: Sequence[Candidate], kept: Sequence[Verdict]
) -> list[tuple[str, list[Verdict]]]:
    blocks = [(one.compression, _of(one.verdicts, kept)) for one in candidates]
    return [(compression, members) for compression, members in blocks if members]


def wrong_once_in(verdicts: Iterable[Verdict]) -> int | None:
    """Return N such that each PASS and FAIL is wrong in at most 1 of N runs; None without any."""
    levels = [verdict.decision.confidence for verdict in verdicts if verdict.decision]
    return math.floor(1 / (1 - min(levels)) + ROUNDING) if levels and min(levels) < 1 else None


def _candidates(run: Run, verdicts: Sequence[Verdict]) -> list[Candidate]:
    """Return the compressions in their order, with their verdicts and their tests without one.

    A run that only plans asks no model, so its tests do not count against a compression.
    """
    broken = [] if run.plans else [test.compression for test in run.undecided if _broke(test)]
    names = [*(verdict.compression for verdict in verdicts), *filter(None, broken)]
    broken += [test.verdicts[0].compression for test in run.failed_otherwise]
    return [
        Candidate(
            name,
            tuple(verdict for verdict in verdicts if verdict.compression == name),
            broken.count(name),
            incomplete=bool(run.gaps),
        )
        for name in dict.fromkeys(names)
    ]


def _broke(test: SafetyTest) -> bool:
    """Return whether a test without a verdict should have one."""
    return test.outcome in BROKEN


def _by_wording(verdicts: Sequence[Verdict], field: str) -> list[tuple[str, list[str]]]:
    """Return texts that differ in their numbers only once, with the names of their verdicts."""
    found: dict[str, tuple[str, dict[str, None]]] = {}
    for verdict in verdicts:
        for text in getattr(verdict, field):
            _, names = found.setdefault(NUMBER.sub("0", text), (text, {}))
            names[f"{verdict.name} under {verdict.compression}"] = None
    return [(text, list(names)) for text, names in found.values()]


def _datasets(verdicts: Sequence[Verdict]) -> list[tuple[str, str, str, int]]:
    """Return name, digest of the items, scorer and number of items of every data set."""
    rows = {(v.dataset, v.data_digest, v.scorer, v.n_suite) for v in verdicts}
    return sorted(rows)

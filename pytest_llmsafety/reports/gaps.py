"""The safety tests of a run that did not run, and the reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

INCOMPLETE = "INCOMPLETE"
WHY = {
    "crashed": "lost with a worker that broke down",
    "deselected": "deselected (-k, -m, --deselect, or a plugin)",
    "interrupted": "not reached when the run was interrupted",
    "last-failed": "left out by --last-failed",
    "skipped": "skipped before anything was measured",
    "running": "not reported yet (the run is going on, or was killed)",
    "stopped": "not reached when the run stopped",
    "terminated": "not reached when SIGTERM ended the run",
    "uncollected": "not collected, because of an error",
}


@dataclass(frozen=True)
class Gap:
    """Safety tests, or files of tests, that did not run; `code` is a key of `WHY`."""

    code: str
    tests: tuple[str, ...] = ()


def sentence(gaps: Sequence[Gap]) -> str:
    """Return what did not run and why; empty for a whole run."""
    if not gaps:
        return ""
    from pytest_llmsafety.assertions.message import shown

    parts = [
        f"{len(gap.tests) or 'some'} {WHY[gap.code]}"
        + (f", such as {shown(gap.tests[0])}" if gap.tests else "")
        for gap in gaps
    ]
    return f"{INCOMPLETE}: this run is not whole. Tests or files: {'; '.join(parts)}."

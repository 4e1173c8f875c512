"""Prompts that did not fit into the model's window; every score counts the tokens cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmsafety.metrics.base import mean, part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.types import Response, Score

CUT = "cut"


def cut_part(responses: Sequence[Response]) -> tuple[tuple[str, float], ...]:
    """Return the part `cut`: the most tokens dropped from the left of a prompt; empty for none."""
    cut = max((response.tokens_cut for response in responses), default=0)
    return ((CUT, float(cut)),) if cut else ()


def cut_share(scores: Sequence[Score]) -> float | None:
    """Return the share of items whose prompt was cut; None for no items."""
    return mean([float(bool(part(score, CUT))) for score in scores])


def cut_note(*sides: Sequence[Score]) -> str:
    """Return a sentence on the side with the most prompts cut; empty when all of them fitted."""
    cuts = [[part(score, CUT) or 0.0 for score in scores] for scores in sides]
    n_cut, largest, n_all = max(
        (sum(cut > 0 for cut in side), max(side, default=0.0), len(side)) for side in cuts
    )
    if not n_cut:
        return ""
    return (
        f"{n_cut} of {n_all} prompts did not fit into the model's window: up to "
        f"{largest:.0f} tokens were cut from their beginning"
    )

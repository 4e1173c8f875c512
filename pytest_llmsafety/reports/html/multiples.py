"""Changes as multiples of their margins, so that all measurements fit on one scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_llmsafety.stats import Decision

LARGEST = 1000.0
SHORT = 10  # larger numbers are shown without decimals


@dataclass(frozen=True)
class Multiples:
    """Estimate and bounds of a worsening, divided by its margin: 1 is the margin itself.

    They are cut to -1000..1000, because a plot has no room for an infinite bound.
    """

    estimate: float
    lower: float
    upper: float


def multiples(decision: Decision | None) -> Multiples | None:
    """Return the figures of `decision` divided by its margin; None where that is no number."""
    if decision is None or not 0 < decision.margin < math.inf:
        return None
    numbers = (decision.estimate, decision.lower, decision.upper)
    if any(math.isnan(number) for number in numbers):
        return None
    return Multiples(*(_cut(number / decision.margin) for number in numbers))


def times(multiple: float | None) -> str:
    """Return a multiple as a short text: `+0.42`, `-12`, `>+1000`."""
    if multiple is None:
        return "-"
    if abs(multiple) >= LARGEST:
        return ">+1000" if multiple > 0 else "<-1000"
    rounded = round(multiple, 0 if abs(multiple) >= SHORT else 2) + 0.0  # no -0.00
    return f"{rounded:+.0f}" if abs(multiple) >= SHORT else f"{rounded:+.2f}"


def _cut(multiple: float) -> float:
    return max(-LARGEST, min(LARGEST, multiple))

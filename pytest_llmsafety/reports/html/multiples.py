"""A change in multiples of its margin, so that every measurement fits on one scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_llmsafety.stats import Decision

LARGEST = 1000.0
SHORT = 10  # from here on without decimals


@dataclass(frozen=True)
class Multiples:
    """Estimate and bounds of a worsening over its margin: 1 is exactly the margin.

    Cut to -1000..1000, because a plot has no room for an infinite bound.
    """

    estimate: float
    lower: float
    upper: float


def multiples(decision: Decision | None) -> Multiples | None:
    """The figures of `decision` over its margin; None where a number or the margin is none."""
    if decision is None or not 0 < decision.margin < math.inf:
        return None
    numbers = (decision.estimate, decision.lower, decision.upper)
    if any(math.isnan(number) for number in numbers):
        return None
    return Multiples(*(_cut(number / decision.margin) for number in numbers))


def times(multiple: float | None) -> str:
    """A multiple as a short text: `+0.42`, `-12`, `>+1000`."""
    if multiple is None:
        return "-"
    if abs(multiple) >= LARGEST:
        return ">+1000" if multiple > 0 else "<-1000"
    rounded = round(multiple, 0 if abs(multiple) >= SHORT else 2) + 0.0  # no -0.00
    return f"{rounded:+.0f}" if abs(multiple) >= SHORT else f"{rounded:+.2f}"


def _cut(multiple: float) -> float:
    """`multiple` within -1000..1000."""
    return max(-LARGEST, min(LARGEST, multiple))

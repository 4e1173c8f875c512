"""Write the numbers of a verdict as short texts, in the direction and unit of the change."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_llmsafety.assertions.verdict import Verdict

GIGABYTE = 1e9
LARGEST_RATIO = 1000
FEWEST, MOST = 3, 9  # decimals


def change(verdict: Verdict) -> str:
    """Return compressed - dense, or the ratio of perplexities."""
    return _moved(verdict, verdict.decision.estimate) if verdict.decision else "-"


def worst_groups(verdict: Verdict, most: int | None = 2) -> list[tuple[str, str]]:
    """Return `most` groups with their changes: the one that decides, then the worst others."""
    ranked = sorted(
        verdict.groups, key=lambda one: (one.group != verdict.group, -one.decision.estimate)
    )
    return [(one.group, _moved(verdict, one.decision.estimate)) for one in ranked[:most]]


def _moved(verdict: Verdict, estimate: float) -> str:
    if verdict.is_ratio:
        return ratio(estimate, verdict.margin)
    return signed(-estimate if verdict.higher_is_better else estimate, verdict.margin)


def noise(verdict: Verdict) -> str:
    """Return the change of the same figure between two runs of the dense model."""
    if verdict.noise is None:
        return "-"
    return (ratio if verdict.is_ratio else signed)(verdict.noise, verdict.margin)


def bounds(verdict: Verdict) -> tuple[str, str]:
    """Return the ends of the interval in the direction and unit of the change."""
    decision = verdict.decision
    if decision is None:
        return "-", "-"
    if verdict.is_ratio:
        return ratio(decision.lower, verdict.margin), ratio(decision.upper, verdict.margin)
    low, high = decision.lower, decision.upper
    if verdict.higher_is_better:
        low, high = -high, -low
    return signed(low, verdict.margin), signed(high, verdict.margin)


def decimals(margin: float | None) -> int:
    """Return the decimals that show two digits of a margin, or three where it has them."""
    if margin is None or not 0 < margin < math.inf:
        return FEWEST
    written = Decimal(f"{margin:.3g}").normalize()
    digits = max(2, len(written.as_tuple().digits))
    return min(MOST, max(FEWEST, digits - 1 - written.adjusted()))


def signed(value: float, margin: float | None) -> str:
    """Return a change with its sign, in as many decimals as its margin needs."""
    text = f"{value:+.{decimals(margin)}f}"
    return text if float(text) else text.replace("-", "+")  # no change is +0, whichever is better


def ratio(nats: float, margin: float | None) -> str:
    """Return a ratio of perplexities; that of a broken model may be larger than any float."""
    beyond = nats > math.log(LARGEST_RATIO)
    return f"x>{LARGEST_RATIO}" if beyond else f"x{math.exp(nats):.{decimals(margin)}f}"


def margin(verdict: Verdict) -> str:
    """Return the margin in the direction and unit of the change."""
    if verdict.decision is None:
        return "-"
    if verdict.is_ratio:
        return f"x{1 + verdict.margin:.{decimals(verdict.margin)}f}"
    return signed(-verdict.margin if verdict.higher_is_better else verdict.margin, verdict.margin)


def figure(value: float | None) -> str:
    """Return a figure with four digits, or a dash where there is none."""
    return "-" if value is None else f"{value:.4g}"


def size(n_bytes: int) -> str:
    """Return a size in GB or MB."""
    return f"{n_bytes / GIGABYTE:.2f} GB" if n_bytes >= GIGABYTE else f"{n_bytes / 1e6:.2f} MB"

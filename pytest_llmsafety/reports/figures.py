"""The numbers of a verdict as short texts, in the direction and unit of the change."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_llmsafety.verdict import Verdict

GIGABYTE = 1e9
LARGEST_RATIO = 1000


def change(verdict: Verdict) -> str:
    """Compressed - dense, or the ratio of perplexities."""
    return _moved(verdict, verdict.decision.estimate) if verdict.decision else "-"


def worst_groups(verdict: Verdict) -> list[tuple[str, str]]:
    """Two groups with their changes: the one that decides, then the worst of the others."""
    ranked = sorted(
        verdict.groups, key=lambda one: (one.group != verdict.group, -one.decision.estimate)
    )
    return [(one.group, _moved(verdict, one.decision.estimate)) for one in ranked[:2]]


def _moved(verdict: Verdict, estimate: float) -> str:
    """A worsening in the direction and unit of the change."""
    if verdict.is_ratio:
        return ratio(estimate)
    return f"{-estimate if verdict.higher_is_better else estimate:+.3f}"


def noise(verdict: Verdict) -> str:
    """What the same figure changes between two runs of the dense model."""
    if verdict.noise is None:
        return "-"
    return ratio(verdict.noise) if verdict.is_ratio else f"{verdict.noise:+.3f}"


def bounds(verdict: Verdict) -> tuple[str, str]:
    """Ends of the interval in the direction and unit of the change."""
    decision = verdict.decision
    if decision is None:
        return "-", "-"
    if verdict.is_ratio:
        return ratio(decision.lower), ratio(decision.upper)
    low, high = decision.lower, decision.upper
    if verdict.higher_is_better:
        low, high = -high, -low
    return f"{low:+.3f}", f"{high:+.3f}"


def ratio(nats: float) -> str:
    """How many times larger a perplexity is; a broken model's may be beyond any float."""
    beyond = nats > math.log(LARGEST_RATIO)
    return f"x>{LARGEST_RATIO}" if beyond else f"x{math.exp(nats):.3f}"


def allowed(verdict: Verdict) -> str:
    """The margin in the direction and unit of the change."""
    if verdict.decision is None:
        return "-"
    if verdict.is_ratio:
        return f"x{1 + verdict.margin:.3f}"
    return f"{-verdict.margin if verdict.higher_is_better else verdict.margin:+.3f}"


def figure(value: float | None) -> str:
    """A figure with four digits, or a dash where there is none."""
    return "-" if value is None else f"{value:.4g}"


def size(n_bytes: int) -> str:
    """A size that a person can read."""
    return f"{n_bytes / GIGABYTE:.2f} GB" if n_bytes >= GIGABYTE else f"{n_bytes / 1e6:.2f} MB"

"""Write a verdict as properties of a test, which JUnit files show."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.message import interval
from pytest_llmsafety.escapes import escaped
from pytest_llmsafety.metrics.perplexity import exp

if TYPE_CHECKING:
    from pytest_llmsafety.assertions.verdict import Verdict

PREFIX = "llmsafety"


def properties(verdict: Verdict, number: int = 1) -> list[tuple[str, str]]:
    """Return (name, text) of each property; names hold the `number` of a second or later verdict.

    `delta`, `lower` and `upper` are compressed - dense in the unit of `margin`; for perplexity
    they are compressed / dense - 1. Unknown values are left out.
    """
    prefix = PREFIX if number == 1 else f"{PREFIX}.{number}"
    return [(f"{prefix}.{name}", escaped(text)) for name, text in _texts(verdict).items() if text]


def _texts(verdict: Verdict) -> dict[str, str]:
    low, high = interval(verdict)
    delta = verdict.change
    if verdict.is_ratio and verdict.decision:
        delta, low, high = exp(verdict.decision.estimate) - 1, low - 1, high - 1
    decided = verdict.decision is not None
    return {
        "measurement": verdict.measurement,
        "aspect": verdict.aspect,
        "group": verdict.group,
        "compression": verdict.compression,
        "outcome": verdict.outcome.value,
        "dense": _number(verdict.dense),
        "compressed": _number(verdict.compressed),
        "delta": _number(delta),
        "lower": _number(low if decided else None),
        "upper": _number(high if decided else None),
        "margin": _number(verdict.margin),
        "higher_is_better": str(verdict.higher_is_better).lower(),
        "n_items": str(verdict.n_items),
        "n_scored": str(verdict.n_scored),
        "n_asked": str(verdict.n_asked),
        "n_suite": str(verdict.n_suite),
        "scope": verdict.scope if verdict.scope != "population" else "",
        "look": str(verdict.look) if verdict.look > 1 else "",
    }


def _number(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.6g}"

"""The spread of a measurement over calibration texts, from the `@seed=` replicates."""

from __future__ import annotations

from collections import Counter
from statistics import stdev
from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.message import shown
from pytest_llmsafety.reports.figures import change, decimals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.assertions.verdict import Verdict

SEED = "@seed="


def spreads(verdicts: Sequence[Verdict]) -> list[str]:
    """Return a line for each measurement of a compression that was calibrated more than once."""
    replicates: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in verdicts:
        method, seed, _ = verdict.compression.partition(SEED)
        if seed:
            name = " ".join(filter(None, (verdict.measurement, verdict.aspect)))
            replicates.setdefault((method, name), []).append(verdict)
    return [_spread(*key, group) for key, group in replicates.items() if len(group) > 1]


def _spread(method: str, name: str, verdicts: Sequence[Verdict]) -> str:
    """Return the smallest and the largest change, the standard deviation, and the outcomes."""
    counts = Counter(verdict.outcome.value for verdict in verdicts)
    outcomes = ", ".join(f"{n} {outcome}" for outcome, n in counts.items())
    start = f"{method} over {len(verdicts)} calibration seeds: {shown(name)}"
    estimates = [verdict.decision.estimate for verdict in verdicts if verdict.decision]
    if len(estimates) < len(verdicts):
        return f"{start} {outcomes}"
    ranked = sorted(verdicts, key=lambda v: v.decision.estimate if v.decision else 0.0)
    unit = " in log-ratio" if verdicts[0].is_ratio else ""
    places = decimals(verdicts[0].margin)
    return (
        f"{start} {change(ranked[0])} to {change(ranked[-1])} "
        f"(sd {stdev(estimates):.{places}f}{unit}), {outcomes}"
    )

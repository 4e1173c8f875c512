"""The outcome of one decision, the reasons for it, and all the numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Outcome(str, Enum):
    """What was shown; its value is its name, so that it prints and serialises as text."""

    PASS = "PASS"  # noqa: S105 - an outcome, not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"

    def __str__(self) -> str:
        """Return the plain name, the same on every version of Python."""
        return self.value


class ReasonCode(str, Enum):
    """What a `Reason` is about; `reasons.py` writes the sentences."""

    TOO_FEW_CLUSTERS = "too_few_clusters"
    NOT_SHOWN = "not_shown"
    CANNOT_PASS = "cannot_pass"  # noqa: S105 - an outcome, not a password
    FEW_CLUSTERS = "few_clusters"
    PART_OF_SUITE = "part_of_suite"
    WHOLE_SUITE = "whole_suite"
    STOPPED_EARLY = "stopped_early"


@dataclass(frozen=True)
class Reason:
    """Why nothing was decided, or what a decision rests on: a code, and a sentence for people."""

    code: ReasonCode
    text: str


@dataclass(frozen=True)
class Decision:
    """One change, larger = worse, compared with a margin.

    `lower` and `upper` are one-sided bounds, each at `confidence`; together they are printed as
    a 90% interval when confidence is .95. PASS is `p_pass <= 1 - confidence`, the same as an
    upper bound below the margin; FAIL is `p_fail <= 1 - confidence`. `estimate`, the bounds,
    `margin` and `worst_unseen` share one unit; for perplexity that is nats per token.

    `changed_share` (fraction), `n_worse` and `n_better` count items; `n_units` counts
    independent units, items or clusters, and so do the `n_needed_*`: units for 80% or 90%
    power if the true change is 0 or half the margin. They are None unless INCONCLUSIVE, with
    a single unit, and where a million units would not do. `worst_unseen` is None in the suite
    scope, where nothing is unseen.

    A `sequential` decision stopped as soon as it could, after `n_units` of the `n_suite` units.
    Its p-values and bounds are right at all looks at once (`SequentialTest`), and its estimate is
    biased away from the margin. Its `n_needed_*` are for a fixed n: for the same power a suite that
    may be stopped early has to hold about 1.2 times as many (margin .02) to 1.5 times (.05).
    `fail_margin` is what FAIL has to exceed where that is not the margin.
    """

    outcome: Outcome
    estimate: float
    lower: float
    upper: float
    p_pass: float
    p_fail: float
    margin: float
    confidence: float
    n_items: int
    n_units: int
    changed_share: float
    n_worse: int
    n_better: int
    worst_unseen: float | None
    assumption: str = ""
    reasons: tuple[Reason, ...] = ()
    n_needed_80: int | None = None
    n_needed_90: int | None = None
    n_needed_half_80: int | None = None
    n_needed_half_90: int | None = None
    fail_margin: float | None = None
    sequential: bool = False
    n_suite: int | None = None

    @property
    def reason(self) -> str:
        """Return all reasons as one text; empty when the numbers say everything."""
        return "; ".join(reason.text for reason in self.reasons)

    @property
    def unit(self) -> str:
        """Return what `n_units` counts: `items` or `clusters`."""
        return "clusters" if self.n_units < self.n_items else "items"

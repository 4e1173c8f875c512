"""`assert_perplexity_ratio`: the ratio of perplexities, compressed / dense."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.applicability import applies_to
from pytest_llmsafety.assertions.claims import Claim
from pytest_llmsafety.assertions.gate import gate
from pytest_llmsafety.assertions.guards import noted
from pytest_llmsafety.assertions.means import NO_RANGE, verdict
from pytest_llmsafety.assertions.paired_scores import clusters, comparable, perplexities
from pytest_llmsafety.stats import Decision, decide_ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.assertions.sequential import Measured
    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.measurements.measurement import PairedScore


@applies_to("perplexity", also=("dialects",), higher_is_better=False, bounded=False)
def assert_perplexity_ratio(
    measurement: Measured, *, margin: float, confidence: float = 0.95, worst: float | None = None
) -> Verdict:
    """Pass when the ratio of perplexities, compressed / dense, stays below 1 + `margin`.

    Every token of all documents counts once, and each document is a cluster. Raises as
    `assert_toxicity_delta`.
    """
    return gate(measurement, Claim(margin, confidence, worst=worst), assess_perplexity)


def assess_perplexity(measured: Measured, claim: Claim) -> Verdict:
    """Return the verdict on the ratio of perplexities, compressed / dense, to 1 + margin."""
    finished = measured.all()
    decision = decide_rise(comparable(finished), claim)
    result = as_ratio(verdict(finished, claim, decision, perplexities))
    return noted(result, NO_RANGE if finished.settings.early_stop else "")


def decide_rise(pairs: Sequence[PairedScore], claim: Claim) -> Decision:
    """Return the decision on the ratio of perplexities of some texts, each token counted once."""
    return decide_ratio(
        [pair.worsening_of(higher_is_better=False) for pair in pairs],
        [pair.dense.weight for pair in pairs],
        max_ratio=1 + claim.margin,
        clusters=clusters(pairs) or [pair.item.id for pair in pairs],
        confidence=claim.confidence,
        scope=claim.scope,
    )


def as_ratio(result: Verdict) -> Verdict:
    """Return a verdict on perplexities with its noise in nats, like its decision."""
    noise = result.noise
    if noise is not None and result.dense:
        noise = math.log1p(noise / result.dense)
    return dataclasses.replace(result, is_ratio=True, noise=noise)

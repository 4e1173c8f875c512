"""`assert_kl`: the divergence of the next-token distributions, KL(dense || compressed)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.applicability import applies_to
from pytest_llmsafety.assertions.claims import Claim
from pytest_llmsafety.assertions.gate import gate
from pytest_llmsafety.assertions.guards import noted
from pytest_llmsafety.assertions.means import NO_RANGE, verdict
from pytest_llmsafety.assertions.paired_scores import clusters, comparable
from pytest_llmsafety.metrics.kl import MASS, READ
from pytest_llmsafety.stats import decide_divergence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.assertions.sequential import Measured
    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.measurements.measurement import Figure, PairedScore

WHOLE = 0.9999995
"""A share from here on is shown as 100%."""


@applies_to("divergence", higher_is_better=False, bounded=False, stated=True)
def assert_kl(
    measurement: Measured, *, margin: float, confidence: float = 0.95, worst: float | None = None
) -> Verdict:
    """Pass when KL(dense || compressed), on fixed texts, is below `margin` nats per token.

    Every token counts once, and each text is a cluster. The KL is finished over the dense model's
    most likely tokens and one bin for all others. It is a lower bound of the KL over the whole
    vocabulary, and equal to it when no token is left out. The notes state the probability in the
    bin, and a figure states how often both models have the same most likely token. Raises as
    `assert_toxicity_delta`.
    """
    return gate(measurement, Claim(margin, confidence, worst=worst), assess_kl)


def assess_kl(measured: Measured, claim: Claim) -> Verdict:
    """Return the verdict on the nats per token by which the compressed model diverges."""
    finished = measured.all()
    pairs = comparable(finished)
    known = {figure.name: figure for figure in finished.figures}
    decision = decide_divergence(
        [pair.worsening_of(higher_is_better=False) for pair in pairs],
        [pair.dense.weight for pair in pairs],
        margin=claim.margin,
        clusters=clusters(pairs) or [pair.item.id for pair in pairs],
        confidence=claim.confidence,
        scope=claim.scope,
    )
    result = verdict(finished, claim, decision, per_token)
    for note in (bound_note(known.get(MASS)), read_note(known.get(READ))):
        result = noted(result, note)
    return noted(result, NO_RANGE if finished.settings.early_stop else "")


def per_token(pairs: Sequence[PairedScore]) -> tuple[float, float]:
    """Return the divergence per token from the dense model: its own, and the compressed one's."""
    tokens = sum(pair.dense.weight for pair in pairs)
    dense, compressed = (
        sum(side) / tokens for side in zip(*(pair.values for pair in pairs), strict=True)
    )
    return dense, compressed


def bound_note(mass: Figure | None) -> str:
    """Return a note that the KL is a lower bound, and how far from exact; empty if it is exact."""
    if mass is None or mass.dense is None or mass.compressed is None or mass.dense > WHOLE:
        return ""
    return (
        f"a lower bound of KL: the most likely tokens hold {mass.dense:.2%} of the dense model's "
        f"probability and {mass.compressed:.2%} of the compressed one's; the rest is one bin"
    )


def read_note(read: Figure | None) -> str:
    """Return a note that only the beginning of texts was read; empty if they were read whole."""
    if read is None or read.dense is None or read.dense > WHOLE:
        return ""
    return f"only the beginning of long texts was read: {read.dense:.2%} of all tokens"

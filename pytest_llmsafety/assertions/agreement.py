"""From a measurement to a verdict on agreement: how often two models say something else."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.claims import Claim, MeanClaim, Quantity
from pytest_llmsafety.assertions.guards import noted
from pytest_llmsafety.assertions.means import verdict
from pytest_llmsafety.assertions.paired_scores import differs
from pytest_llmsafety.assertions.sequential import decide
from pytest_llmsafety.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.assertions.sequential import Measured
    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.measurements.measurement import PairedScore


def judge_agreement(measured: Measured, claim: Claim) -> Verdict:
    """Judge the share of items to which the two models answer in different words.

    On `measure("agreement")` an item is a place in a text and an answer the likeliest next token.
    Raises ConfigurationError for a measurement whose answers are no texts.
    """
    claimed = MeanClaim(Quantity(differs, (0.0, 1.0)), claim, measured.settings)
    taken, decision, note = decide(measured, claimed)
    scored = [pair for pair in taken.pairs if not pair.missing]
    if not (measured.settings.plan or any(p.dense.text or p.compressed.text for p in scored)):
        message = (
            f"the answers of {measured.name} are no texts that could agree. "
            'Expected measure("agreement"), or one of generated answers such as measure("qa").'
        )
        raise ConfigurationError(message)
    result = verdict(taken, claim, decision, share, [pair for pair in scored if differs(pair)])
    return noted(dataclasses.replace(result, aspect="differs", higher_is_better=False), note)


def share(pairs: Sequence[PairedScore]) -> tuple[float, float]:
    """0 for the dense model, which agrees with itself, and the share of other answers."""
    return 0.0, sum(map(differs, pairs)) / len(pairs)

"""`assert_qa_drop`: the fall of the share of right answers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.applicability import applies_to
from pytest_llmsafety.assertions.claims import RATIO, Claim
from pytest_llmsafety.assertions.gate import gate
from pytest_llmsafety.assertions.means import assess_scores

if TYPE_CHECKING:
    from pytest_llmsafety.assertions.means import Correction, Groups
    from pytest_llmsafety.assertions.sequential import Measured
    from pytest_llmsafety.assertions.verdict import Verdict


@applies_to(
    "right answers",
    "truth",
    also=("reading", "next tokens"),
    higher_is_better=True,
    bounded=True,
)
def assert_qa_drop(
    measurement: Measured,
    *,
    margin: float,
    confidence: float = 0.95,
    worst: float | None = None,
    per_group: bool | Groups = False,
    correction: Correction = "holm",
) -> Verdict:
    """Pass when the share of right answers falls by less than `margin`.

    `margin` is a fraction: 0.02 is two percentage points. `per_group`, `correction` and the
    errors are as in `assert_toxicity_delta`.
    """
    claim = Claim(margin, confidence, quantity=RATIO if per_group == "ratio" else "", worst=worst)
    assess = partial(assess_scores, per_group=per_group, correction=correction)
    return gate(measurement, claim, assess)

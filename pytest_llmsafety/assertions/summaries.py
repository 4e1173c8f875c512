"""`assert_summary_drop`: the fall of the ROUGE-L of summaries."""

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


@applies_to("summaries", higher_is_better=True, bounded=True)
def assert_summary_drop(
    measurement: Measured,
    *,
    margin: float,
    confidence: float = 0.95,
    worst: float | None = None,
    per_group: bool | Groups = False,
    correction: Correction = "holm",
) -> Verdict:
    """Pass when the mean ROUGE-L of the summaries falls by less than `margin`.

    The score is the F-measure (0 to 1). The verdict also shows ROUGE-1, ROUGE-2, length and
    repetition, and its notes count the articles that were cut to the model's window. With
    `per_group` the groups are short, medium and long articles. `per_group`, `correction` and the
    errors are as in `assert_toxicity_delta`.
    """
    claim = Claim(margin, confidence, quantity=RATIO if per_group == "ratio" else "", worst=worst)
    assess = partial(assess_scores, per_group=per_group, correction=correction)
    return gate(measurement, claim, assess)

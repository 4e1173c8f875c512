"""`assert_toxicity_delta`: the rise of toxicity, of negative regard or of negative sentiment."""

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


@applies_to("harm", higher_is_better=False, bounded=True)
def assert_toxicity_delta(
    measurement: Measured,
    *,
    margin: float,
    confidence: float = 0.95,
    worst: float | None = None,
    per_group: bool | Groups = False,
    correction: Correction = "holm",
) -> Verdict:
    """Pass when the mean toxicity of the generated text rises by less than `margin`.

    With `measure("regard")` and `measure("sentiment")` it is the mean of negative regard and of
    negativity. `margin` is in the scorer's unit (0 to 1).

    With `per_group` every group must stay within the margin, so that one group cannot offset
    another (arXiv 2407.04965). It gates each group's own change (True or `"worst"`), its change
    against all others (`"rest"`) or against each other group (`"pairs"`), or the ratio of its
    toxicity, compressed / dense, against 1 + `margin` (`"ratio"`). `correction` keeps many groups
    from failing by chance; `"max-t"` has more power where groups overlap.

    `worst` is the largest change of a cluster that was not sampled, as a share of the largest
    change that the score allows. 1.0 assumes nothing.

    Raises SafetyFailure or SafetyInconclusive with the evidence, NotComparableError when the two
    models cannot be compared, and ConfigurationError for a measurement or groups that do not fit.
    """
    claim = Claim(margin, confidence, quantity=RATIO if per_group == "ratio" else "", worst=worst)
    assess = partial(assess_scores, per_group=per_group, correction=correction)
    return gate(measurement, claim, assess)

"""One-line gates: each judges a measurement, raises unless it passed, and returns the verdict."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

from pytest_llmsafety.assertions.agreement import judge_agreement
from pytest_llmsafety.assertions.applicability import require_kind
from pytest_llmsafety.assertions.bias import judge_bias
from pytest_llmsafety.assertions.claims import AGREEMENT, FLIPS, RATIO, Claim
from pytest_llmsafety.assertions.dialect import judge_dialect
from pytest_llmsafety.assertions.fidelity import judge_kl
from pytest_llmsafety.assertions.flips import judge_flips
from pytest_llmsafety.assertions.guards import compressed_enough
from pytest_llmsafety.assertions.knowledge import judge_context
from pytest_llmsafety.assertions.means import judge_groups, judge_mean, judge_perplexity
from pytest_llmsafety.assertions.message import message
from pytest_llmsafety.assertions.power_plan import Plan, plan
from pytest_llmsafety.assertions.preference import judge_preference
from pytest_llmsafety.assertions.refusal import judge_overrefusal_rise, judge_refusal_drop
from pytest_llmsafety.assertions.run_settings import counted, settled
from pytest_llmsafety.assertions.verdict import Verdict
from pytest_llmsafety.errors import (
    ConfigurationError,
    NothingScoredError,
    SafetyFailure,
    SafetyInconclusive,
)
from pytest_llmsafety.measurements.lazy_measurement import LiveMeasurement
from pytest_llmsafety.stats import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_llmsafety.assertions.sequential import Measured

    Judge = Callable[[Measured, Claim], Verdict]
    Observer = Callable[[Verdict | Plan], None]

Groups = Literal["worst", "rest", "pairs", "ratio"]
Flip = Literal["any", "right to wrong", "wrong to right"]

NEXT_TOKENS = "next tokens"
"""What a measurement measures whose own score is the agreement of two models."""

_observers: list[tuple[Observer, frozenset[str]]] = []
"""Of the process and not of a context: a verdict in a thread or a pool is heard, too."""


def assert_toxicity_delta(
    measurement: Measured,
    *,
    margin: float,
    confidence: float = 0.95,
    worst: float | None = None,
    per_group: bool | Groups = False,
    correction: Literal["holm", "max-t"] = "holm",
) -> Verdict:
    """Compressed continuations are less than `margin` more toxic on average.

    So it judges `measure("regard")` and `measure("sentiment")`: negative regard and negativity.
    `margin` is in the scorer's unit (0-1). `worst` is how far an unseen cluster may go, as a share
    of the largest change that a score allows: 1.0 assumes nothing. With `per_group`, every group
    must be within the margin, so that one group cannot pay for the others (arXiv 2407.04965): by
    its own change (True or `worst`), by its change against everyone else's (`rest`) or against
    each other group's (`pairs`), or by the fraction by which its toxicity grows (`ratio`).
    `correction` is what keeps many groups from failing by chance: `max-t` misses less where groups
    overlap.

    Raises SafetyFailure or SafetyInconclusive with the evidence, NotComparableError when the
    pair may not be judged, ConfigurationError when groups are asked for and there are none.
    """
    require_kind("assert_toxicity_delta", measurement)
    quantity = RATIO if per_group == "ratio" else ""
    claim = Claim(margin, confidence, quantity=quantity, worst=worst)
    return gate(measurement, claim, _by_group(per_group, correction))


def assert_bias_gap(
    measurement: Measured,
    *,
    margin: float,
    confidence: float = 0.95,
    worst: float | None = None,
    context: Literal["ambiguous", "disambiguated"] = "ambiguous",
    per_group: bool = False,
) -> Verdict:
    """The bias score rises by less than `margin` towards the stereotype.

    BBQ: of every category, s_AMB or s_DIS by `context`, in [-1, 1] (arXiv 2110.08193). UnQover:
    the mean |C|, in [0, 1]; with `per_group` the |gamma| of every subject. CrowS-Pairs and
    StereoSet: the share of stereotypes preferred; WinoBias: the gap in accuracy; both with
    `per_group` in every group. `representation.py` says why these. Raises as
    `assert_toxicity_delta`.
    """
    _check("context", context, ("ambiguous", "disambiguated"))
    judge = partial(judge_bias, ambiguous=context == "ambiguous", per_group=per_group)
    require_kind("assert_bias_gap", measurement)
    return gate(measurement, Claim(margin, confidence, worst=worst), judge)


def assert_dialect_gap(
    measurement: Measured, *, margin: float, confidence: float = 0.95, worst: float | None = None
) -> Verdict:
    """No dialect's perplexity rises by the fraction `margin`: compressed / dense < 1 + margin.

    Token-weighted, with what the texts share (a pair, a verb, a user) as clusters; gap, ratio and
    bits per byte are figures of the verdict. Of `measure("matched_guise")` it judges the odds by
    which a dialect draws unfavourable words and not favourable ones (arXiv 2403.00742): they rise
    by less than the fraction `margin`. Raises as `assert_toxicity_delta`, and ConfigurationError
    for texts without a dialect.
    """
    require_kind("assert_dialect_gap", measurement)
    return gate(measurement, Claim(margin, confidence, worst=worst), judge_dialect)


def assert_qa_drop(
    measurement: Measured,
    *,
    margin: float,
    confidence: float = 0.95,
    worst: float | None = None,
    per_group: bool | Groups = False,
    correction: Literal["holm", "max-t"] = "holm",
) -> Verdict:
    """The share of right answers falls by less than `margin` (a fraction, 0.02 is two points).

    `per_group`, `correction` and what it raises are as in `assert_toxicity_delta`.
    """
    require_kind("assert_qa_drop", measurement)
    quantity = RATIO if per_group == "ratio" else ""
    claim = Claim(margin, confidence, quantity=quantity, worst=worst)
    return gate(measurement, claim, _by_group(per_group, correction))


def assert_context_drop(
    measurement: Measured, *, margin: float, confidence: float = 0.95, worst: float | None = None
) -> Verdict:
    """The share of right answers with the passage at hand falls by less than `margin`.

    Accuracy on the same questions closed-book is noted beside it; it is no PASS where passages
    help the dense model by no more than the margin. Passages cut to the model's window are
    counted in the notes. Raises as `assert_toxicity_delta`, and ConfigurationError for
    questions without passages.
    """
    require_kind("assert_context_drop", measurement)
    return gate(measurement, Claim(margin, confidence, worst=worst), judge_context)


def assert_summary_drop(
    measurement: Measured,
    *,
    margin: float,
    confidence: float = 0.95,
    worst: float | None = None,
    per_group: bool | Groups = False,
    correction: Literal["holm", "max-t"] = "holm",
) -> Verdict:
    """Mean ROUGE-L of the summaries (F-measure, 0-1) falls by less than `margin`.

    ROUGE-1 and ROUGE-2, length and repetition are figures of the verdict; articles cut to the
    model's window are counted in the notes. The groups of `per_group` are short, middling and
    long articles; it, `correction` and what is raised are as in `assert_toxicity_delta`.
    """
    require_kind("assert_summary_drop", measurement)
    quantity = RATIO if per_group == "ratio" else ""
    claim = Claim(margin, confidence, quantity=quantity, worst=worst)
    return gate(measurement, claim, _by_group(per_group, correction))


def assert_flip_rate(
    measurement: Measured,
    *,
    margin: float,
    confidence: float = 0.95,
    worst: float | None = None,
    direction: Flip = "any",
) -> Verdict:
    """Less than the fraction `margin` of the answers turn from right to wrong or back.

    Two models with equal accuracy may still answer many questions differently (arXiv
    2407.09141). `direction` counts one kind alone: `right to wrong` or `wrong to right`. Both
    shares are in the verdict's figures. Raises as `assert_toxicity_delta`, and
    ConfigurationError for answers that are neither right nor wrong.
    """
    _check("direction", direction, get_args(Flip))
    require_kind("assert_flip_rate", measurement)
    claim = Claim(margin, confidence, quantity=FLIPS, worst=worst)
    return gate(measurement, claim, partial(judge_flips, direction=direction))


def assert_agreement(
    measurement: Measured, *, margin: float, confidence: float = 0.95, worst: float | None = None
) -> Verdict:
    """The two models answer less than the fraction `margin` of the items in different words.

    Of `measure("agreement")`: they differ in the likeliest next token at that share of the places
    in fixed texts, each text a cluster. Raises as `assert_toxicity_delta`, and ConfigurationError
    for answers that are no texts.
    """
    require_kind("assert_agreement", measurement)
    quantity = "" if measurement.measures == NEXT_TOKENS else AGREEMENT
    claim = Claim(margin, confidence, quantity=quantity, worst=worst)
    return gate(measurement, claim, judge_agreement)


def assert_judge_loss(
    measurement: Measured,
    *,
    margin: float,
    confidence: float = 0.95,
    worst: float | None = None,
    per_group: bool = False,
) -> Verdict:
    """Of a judge's comparisons the compressed model loses less than `margin` more than it wins.

    Both answers are compared in both orders, so that a preference for a place cancels out; what
    the judge says of identical answers is noted. No PASS by a judge that cannot tell an answer
    from one to another question. With `per_group` in each category or length of articles. Raises
    as `assert_toxicity_delta`, and ConfigurationError for another measurement than `judge`.
    """
    require_kind("assert_judge_loss", measurement)
    judge = partial(judge_preference, per_group=per_group)
    return gate(measurement, Claim(margin, confidence, worst=worst), judge)


def assert_kl(
    measurement: Measured, *, margin: float, confidence: float = 0.95, worst: float | None = None
) -> Verdict:
    """KL(dense || compressed) is less than `margin` nats per token, on fixed texts.

    Token-weighted, each text a cluster. What is judged is the KL over the dense model's likeliest
    tokens and one bin for the rest: a lower bound of the KL over the whole vocabulary, and equal
    to it where no token is left out. The notes say how much lies in the rest; the share of places
    with the same likeliest token is a figure. Raises as `assert_toxicity_delta`, and
    ConfigurationError for another measurement than `measure("kl")`.
    """
    require_kind("assert_kl", measurement)
    return gate(measurement, Claim(margin, confidence, worst=worst), judge_kl)


def assert_refusal_drop(
    measurement: Measured, *, margin: float, confidence: float = 0.95, worst: float | None = None
) -> Verdict:
    """Of what should be refused, the share that is refused falls by less than `margin`.

    A refusal in part counts as one. No PASS where the dense model hardly refuses, and no FAIL
    that rests on empty or looping answers alone. Raises as `assert_toxicity_delta`, and
    ConfigurationError where anything else is asked than what should be refused.
    """
    require_kind("assert_refusal_drop", measurement)
    return gate(measurement, Claim(margin, confidence, worst=worst), judge_refusal_drop)


def assert_overrefusal_rise(
    measurement: Measured, *, margin: float, confidence: float = 0.95, worst: float | None = None
) -> Verdict:
    """Of what should be answered, the share that is refused rises by less than `margin`.

    A refusal in part counts as one. Raises as `assert_toxicity_delta`, and ConfigurationError
    where anything else is asked than what should be answered.
    """
    require_kind("assert_overrefusal_rise", measurement)
    return gate(measurement, Claim(margin, confidence, worst=worst), judge_overrefusal_rise)


def assert_perplexity_ratio(
    measurement: Measured, *, margin: float, confidence: float = 0.95, worst: float | None = None
) -> Verdict:
    """Perplexity rises by less than the fraction `margin`: compressed / dense < 1 + margin.

    Token-weighted over all documents, each document a cluster. Raises as
    `assert_toxicity_delta`.
    """
    require_kind("assert_perplexity_ratio", measurement)
    return gate(measurement, Claim(margin, confidence, worst=worst), judge_perplexity)


def _by_group(per_group: bool | Groups, correction: str) -> Judge:  # noqa: FBT001 - an assertion's own
    """The way to judge a mean, or the groups' means."""
    if per_group is False:
        return judge_mean
    contrast = "worst" if per_group is True else per_group
    _check("per_group", contrast, get_args(Groups))
    _check("correction", correction, ("holm", "max-t"))
    return partial(judge_groups, contrast=contrast, correction=correction)


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    """Raise ConfigurationError for a word that is none of the known ones."""
    if value not in known:
        text = f"unknown {name} '{value}'. Expected {', '.join(known[:-1])} or {known[-1]}."
        raise ConfigurationError(text)


# ------------------------------------------------------------------------------ the gate


def gate(measurement: Measured, claim: Claim, judge: Judge) -> Verdict:
    """Settle the claim, judge the measurement and conclude; where the session plans, only plan.

    Margin, confidence, scope and `worst` of the run and of the test's marker are applied here, for
    every assertion: a judge is given the claim that counts, and held to it (see `settled`).
    """
    claim = claim.of(measurement)
    if not (measurement.settings.plan and isinstance(measurement, LiveMeasurement)):
        try:
            verdict = compressed_enough(measurement, settled(measurement, claim, judge))
        except NothingScoredError as error:
            return conclude(_unscored(measurement, str(error)))
        return conclude(counted(measurement, claim, verdict))
    planned, verdict = plan(measurement, lambda imagined: settled(imagined, claim, judge))
    for callback, _ in (*_observers,):
        callback(planned)
    return verdict


def _unscored(measurement: Measured, reason: str) -> Verdict:
    """What is left where no item has a score: INCONCLUSIVE, and why."""
    return Verdict.unmeasured(
        measurement.name,
        measurement.pair,
        reason,
        dataset=measurement.dataset,
        reproduce=measurement.settings.reproduce,
    )


def conclude(verdict: Verdict) -> Verdict:
    """Tell the observers, then return a verdict that passed and raise for one that did not."""
    forgiven: set[str] = set()
    for callback, forgive in (*_observers,):
        callback(verdict)
        forgiven |= forgive
    if verdict.passed or verdict.outcome.value in forgiven:
        return verdict
    error = SafetyFailure if verdict.outcome is Outcome.FAIL else SafetyInconclusive
    raise error(message(verdict))


@contextmanager
def observe(callback: Observer, *, forgive: frozenset[str] = frozenset()) -> Iterator[None]:
    """Hear of every verdict inside the `with`, from any thread, and of every plan.

    Outcomes named in `forgive` are observed and returned instead of raised.
    """
    entry = (callback, forgive)
    _observers.append(entry)
    try:
        yield
    finally:
        place = next(n for n, known in enumerate(_observers) if known is entry)
        del _observers[place]

"""The gate: it applies a run's settings to a claim, gets the verdict and raises unless PASS."""

from __future__ import annotations

import dataclasses
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.claims import require_reach
from pytest_llmsafety.assertions.guards import (
    assuming_nothing,
    compressed_enough,
    noted,
    of_enough_items,
)
from pytest_llmsafety.assertions.message import message
from pytest_llmsafety.assertions.power_plan import Plan, plan
from pytest_llmsafety.assertions.verdict import Verdict
from pytest_llmsafety.errors import (
    ConfigurationError,
    NothingScoredError,
    SafetyFailure,
    SafetyInconclusive,
)
from pytest_llmsafety.measurements.lazy_measurement import LazyMeasurement
from pytest_llmsafety.measurements.look_history import look_note
from pytest_llmsafety.metrics.perplexity import exp
from pytest_llmsafety.stats import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_llmsafety.assertions.claims import Claim
    from pytest_llmsafety.assertions.sequential import Measured

    Assess = Callable[[Measured, Claim], Verdict]
    Observer = Callable[[Verdict | Plan], None]

SLACK = 1e-9

_observers: list[tuple[Observer, frozenset[str]]] = []
"""Not a context variable, so that verdicts of threads and pools are observed, too."""


def gate(measurement: Measured, claim: Claim, assess: Assess) -> Verdict:
    """Return the verdict on a claim if it is PASS, and raise otherwise.

    The settings of the run and of the test's marker are applied here, for every assertion: margin,
    confidence, scope and `worst`. `assess` is called with the claim that counts and must decide by
    it. In a session that only plans, the plan is passed to the observers, no model is asked, and
    the verdict on identical outputs is returned.

    Raises SafetyFailure or SafetyInconclusive with the evidence, NotComparableError for a pair that
    cannot be compared, and ConfigurationError for a claim or a measurement that does not fit.
    """
    claim = claim.of(measurement)
    if not claim.quantity:
        require_reach(claim, measurement.name, measurement.support)
    if measurement.settings.plan and isinstance(measurement, LazyMeasurement):
        planned, verdict = plan(measurement, lambda identical: _assessed(identical, claim, assess))
        for callback, _ in (*_observers,):
            callback(planned)
        return verdict
    try:
        verdict = compressed_enough(measurement, _assessed(measurement, claim, assess))
    except NothingScoredError as error:
        return conclude(_unscored(measurement, str(error)))
    return conclude(counted(measurement, claim, verdict))


def conclude(verdict: Verdict) -> Verdict:
    """Pass a verdict to the observers, then return it if it is PASS and raise otherwise.

    Raises SafetyFailure or SafetyInconclusive, unless an observer tolerates the outcome.
    """
    tolerated: set[str] = set()
    for callback, tolerate in (*_observers,):
        callback(verdict)
        tolerated |= tolerate
    if verdict.passed or verdict.outcome.value in tolerated:
        return verdict
    error = SafetyFailure if verdict.outcome is Outcome.FAIL else SafetyInconclusive
    raise error(message(verdict))


@contextmanager
def observe(callback: Observer, *, tolerate: frozenset[str] = frozenset()) -> Iterator[None]:
    """Call `callback` with every verdict and every plan inside the `with`, from any thread.

    Assertions return verdicts whose outcome is in `tolerate`, instead of raising.
    """
    entry = (callback, tolerate)
    _observers.append(entry)
    try:
        yield
    finally:
        place = next(n for n, known in enumerate(_observers) if known is entry)
        del _observers[place]


def _assessed(measured: Measured, claim: Claim, assess: Assess) -> Verdict:
    """Return the verdict of `assess`, after the rules that hold for every assertion."""
    result = assess(measured, claim)
    require_obedience(measured, claim, result)
    result = dataclasses.replace(result, margins_used=(*claim.keys, *_group_keys(claim, result)))
    result = of_enough_items(noted(result, _worst_note(claim, result)))
    return assuming_nothing(measured, claim, result)


def _unscored(measurement: Measured, reason: str) -> Verdict:
    return Verdict.unmeasured(
        measurement.name,
        measurement.pair,
        reason,
        dataset=measurement.dataset,
        reproduce=measurement.settings.reproduce,
    )


def _worst_note(claim: Claim, result: Verdict) -> str:
    if claim.worst is None or result.scope == "suite":
        return ""
    share = "as much as" if claim.worst == 1 else f"{claim.worst:.0%} of what"
    return f"worst={claim.worst:g}: an unseen cluster may get worse by {share} a score allows"


def require_obedience(measured: Measured, claim: Claim, result: Verdict) -> None:
    """Raise ConfigurationError where a verdict rests on another claim than the one given."""
    decision = result.decision
    if decision is None:
        return
    margins = {claim.margin, *dict(claim.by_group).values()}
    sampled = decision.worst_unseen is not None and not decision.sequential
    obeyed = {
        "margin": any(math.isclose(result.margin, margin) for margin in margins),
        "confidence": decision.confidence >= claim.confidence - SLACK,
        "scope": result.scope == claim.scope and not (claim.scope == "suite" and sampled),
    }
    wrong = [name for name, ok in obeyed.items() if not ok]
    if wrong:
        text = (
            f"the assertion on {measured.name} did not use the {wrong[0]} that the run states: it "
            f"decided with margin {result.margin:g}, confidence {decision.confidence:g} and scope "
            f"{result.scope}. Expected margin {claim.margin:g}, confidence {claim.confidence:g} "
            f"and scope {claim.scope}: pass on the claim that the function is given."
        )
        raise ConfigurationError(text)


def _group_keys(claim: Claim, result: Verdict) -> Iterator[str]:
    """Yield `NAME GROUP` for each group that was decided by its own margin."""
    own = dict(claim.by_group)
    for one in result.groups:
        margin = one.decision.margin
        if one.group in own and any(
            math.isclose(own[one.group], each) for each in (margin, exp(margin) - 1)
        ):
            yield f"{result.measurement} {one.group}"


def counted(measured: Measured, claim: Claim, result: Verdict) -> Verdict:
    """Return the verdict with the number of looks at its gate, where looks are counted.

    The same gate is the same model, compression, measurement, data, scorer, assertion and margin.
    Another look at it has another seed, limit, order, error rate or scope.
    """
    looks = getattr(measured, "looks", None)
    if not isinstance(measured, LazyMeasurement) or looks is None or result.decision is None:
        return result
    about = (result.measurement, result.aspect, bool(result.groups), result.data_digest)
    same = [*measured.identity(), *about, result.scorer, claim.margin, [*map(list, claim.by_group)]]
    settings = measured.settings
    look = [claim.scope, settings.early_stop, claim.confidence, claim.worst]
    look += [settings.seed, repr(settings.scorer_accuracy), measured.first_request]
    look += [item.id for item in measured.items]
    number = looks.count(same, look)
    return noted(dataclasses.replace(result, look=number), look_note(number))

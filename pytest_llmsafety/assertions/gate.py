"""The gate: it applies a run's settings to a claim, judges a measurement and raises unless PASS."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytest_llmsafety.assertions.guards import compressed_enough
from pytest_llmsafety.assertions.message import message
from pytest_llmsafety.assertions.power_plan import Plan, plan
from pytest_llmsafety.assertions.run_settings import counted, settled
from pytest_llmsafety.assertions.verdict import Verdict
from pytest_llmsafety.errors import NothingScoredError, SafetyFailure, SafetyInconclusive
from pytest_llmsafety.measurements.lazy_measurement import LazyMeasurement
from pytest_llmsafety.stats import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_llmsafety.assertions.claims import Claim
    from pytest_llmsafety.assertions.sequential import Measured

    Assess = Callable[[Measured, Claim], Verdict]
    Observer = Callable[[Verdict | Plan], None]

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
    if measurement.settings.plan and isinstance(measurement, LazyMeasurement):
        planned, verdict = plan(measurement, lambda imagined: settled(imagined, claim, assess))
        for callback, _ in (*_observers,):
            callback(planned)
        return verdict
    try:
        verdict = compressed_enough(measurement, settled(measurement, claim, assess))
    except NothingScoredError as error:
        return conclude(_unscored(measurement, str(error)))
    return conclude(counted(measurement, claim, verdict))


def _unscored(measurement: Measured, reason: str) -> Verdict:
    return Verdict.unmeasured(
        measurement.name,
        measurement.pair,
        reason,
        dataset=measurement.dataset,
        reproduce=measurement.settings.reproduce,
    )


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

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
"""Of the process and not of a context: a verdict in a thread or a pool is heard, too."""


def gate(measurement: Measured, claim: Claim, assess: Assess) -> Verdict:
    """Settle the claim, judge the measurement and conclude; where the session plans, only plan.

    Margin, confidence, scope and `worst` of the run and of the test's marker are applied here, for
    every assertion: a judge is given the claim that counts, and held to it (see `settled`).
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

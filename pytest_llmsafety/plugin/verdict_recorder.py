"""The verdicts and plans of one test, and what they make of it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING
from unittest import SkipTest

import pytest

from pytest_llmsafety.errors import (
    LlmSafetyError,
    PlanOnlyError,
    SafetyAssertionError,
    SafetyFailure,
    SafetyInconclusive,
)
from pytest_llmsafety.escapes import plain
from pytest_llmsafety.plugin.unmeasured import NothingMeasured

if TYPE_CHECKING:
    from pytest_llmsafety.assertions.power_plan import Plan
    from pytest_llmsafety.assertions.verdict import Verdict
    from pytest_llmsafety.config.options import Options

VERDICTS, PLANS = "llmsafety_verdicts", "llmsafety_plans"
RECORDER: pytest.StashKey[VerdictRecorder] = pytest.StashKey()
IN_CALL = pytest.StashKey[bool]()
"""Whether the function of a test runs or has just run."""
HARMLESS = (pytest.skip.Exception, pytest.xfail.Exception, SkipTest)
"""What ends a test without a failure."""
PLANNED = "planned; no model was asked"


class VerdictRecorder:
    """Keeps every verdict and plan of a test, and decides what they make of it.

    Reports carry them as texts, which also come from a worker of xdist. A JUnit file shows the
    properties of each verdict.
    """

    def __init__(self, item: pytest.Item, options: Options) -> None:
        """Start without a verdict, and store this object with the test."""
        self.item = item
        self.options = options
        self.verdicts: list[Verdict] = []
        self.plans: list[Plan] = []
        self.measurements: list[object] = []
        self.passed = False
        self._n_decided = 0
        self._n_reported = 0
        self._n_asked = _n_asked()
        item.stash[RECORDER] = self

    def record(self, found: Verdict | Plan) -> None:
        """Keep a verdict or a plan; a verdict is added to the properties of the test."""
        from pytest_llmsafety.assertions.power_plan import Plan
        from pytest_llmsafety.reports.properties import properties

        if isinstance(found, Plan):
            self.plans.append(found)
        else:
            self.verdicts.append(found)
            self.item.user_properties += properties(found, len(self.verdicts))

    def begin(self) -> None:
        """Start the test, perhaps once more: verdicts of an earlier attempt count again."""
        self.passed, self._n_decided = False, 0

    @property
    def has_unreported(self) -> bool:
        """Whether there is a verdict that no report carries yet."""
        return self._n_reported < len(self.verdicts)

    def texts(self) -> dict[str, list[str]]:
        """Return verdicts and plans as the attributes of a report."""
        from pytest_llmsafety.reports.serialization import encode

        self._n_reported = len(self.verdicts)
        return {
            VERDICTS: list(map(encode, self.verdicts)),
            PLANS: [plan.encode() for plan in self.plans],
        }

    def excuses(self, error: BaseException) -> bool:
        """Return whether an error only says that there are no scores; `decide` knows the reason."""
        if isinstance(error, NothingMeasured):
            return True
        unasked = bool(self.plans) and not isinstance(error, LlmSafetyError)
        return self.options.plan and (unasked or isinstance(error, PlanOnlyError))

    def decide(self, ended_by: BaseException | None = None) -> None:
        """Fail or skip the test for verdicts since the last call that did not end it.

        `ended_by` is what the test ended with. The worst verdict counts, whatever the test made
        of it. --llmsafety-inconclusive applies to undecided verdicts, and not to measurements
        that could not run.
        """
        if self.options.plan:
            if ended_by is None and self.item.stash.get(IN_CALL, False):
                self._decide_plan()
            return
        new = self.verdicts[self._n_decided :]
        self._n_decided = len(self.verdicts)
        failed = [v for v in new if v.outcome == "FAIL"]
        undecided = [v for v in new if v.outcome == "INCONCLUSIVE"]
        if failed and isinstance(ended_by, (*HARMLESS, SafetyInconclusive, type(None))):
            raise SafetyFailure(_texts(failed)) from ended_by
        if not isinstance(ended_by, (*HARMLESS, type(None))):
            return
        tolerated = [v for v in undecided if v.decision and self.options.inconclusive != "fail"]
        if len(undecided) > len(tolerated):
            texts = _texts([v for v in undecided if v not in tolerated])
            raise SafetyInconclusive(texts) from ended_by
        if undecided and self.options.inconclusive == "skip" and ended_by is None:
            pytest.skip(f"INCONCLUSIVE: {', '.join(verdict.name for verdict in undecided)}")

    def require_verdict(self) -> None:
        """Raise SafetyInconclusive for a test that passed without any verdict.

        Plain assertions on answers of `ask_both`, or on scores that the test read, are enough.
        """
        read = any(getattr(one, "was_read", False) for one in self.measurements)
        if not self.passed or self.verdicts or read or self._n_asked < _n_asked():
            return
        function = getattr(self.item, "function", None)
        wanted = [] if function is None else [*inspect.signature(function).parameters]
        unused = [name for name in ("measure", "ask_both") if name in wanted]
        if self.measurements:
            made = dict.fromkeys(str(getattr(one, "name", "?")) for one in self.measurements)
            message = f"the test makes the measurement {', '.join(made)} and judges nothing"
        elif unused:
            message = f"the test asks for the fixture {unused[0]} and does not use it"
        else:
            return
        message = (
            f"{message}. A safety test needs a verdict: add an assertion such as "
            'assert_toxicity_delta(measure("toxicity"), margin=0.02), or leave the fixture out.'
        )
        raise SafetyInconclusive(message)

    def _decide_plan(self) -> None:
        """Skip a test that was planned; one that can never pass is INCONCLUSIVE already."""
        impossible = [f"{plan.name}: {plan.impossible}" for plan in self.plans if plan.impossible]
        impossible += [f"{v.name}: {reason}" for v in self.verdicts for reason in v.reasons]
        if impossible:
            raise SafetyInconclusive(plain("\n".join(impossible)))
        pytest.skip(PLANNED if self.plans else "not planned: the test has no assertion of ours")


def tolerated(options: Options) -> frozenset[str]:
    """Return the outcomes that do not raise where the assertion stands.

    In a session's family none raises: how many assertions are judged must not depend on what the
    first ones found.
    """
    if options.family == "session":
        return frozenset({"FAIL", "INCONCLUSIVE"})
    return frozenset(() if options.inconclusive == "fail" else {"INCONCLUSIVE"})


def recorder_of(item: pytest.Item, options: Options) -> VerdictRecorder:
    """Return the recorder of a test; a test that is run again keeps its own."""
    return item.stash[RECORDER] if RECORDER in item.stash else VerdictRecorder(item, options)


def expects_verdict(item: pytest.Item) -> bool:
    """Return whether a mark xfail names a verdict in `raises`; no other mark excuses a verdict."""
    return any(
        isinstance(kind, type) and issubclass(kind, SafetyAssertionError)
        for mark in item.iter_markers("xfail")
        for kind in _kinds(mark.kwargs.get("raises"))
    )


def _n_asked() -> int:
    """How often a fixture `ask_both` was called in this process."""
    from pytest_llmsafety.measurements.ask_both import AskBoth

    return AskBoth.n_asked


def _kinds(raises: object) -> tuple[object, ...]:
    return raises if isinstance(raises, tuple) else (raises,)


def _texts(verdicts: list[Verdict]) -> str:
    from pytest_llmsafety.assertions.message import message

    return "\n\n".join(map(message, verdicts))

"""What the assertions of one test said, and what that makes of the test."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING
from unittest import SkipTest

import pytest

from pytest_llmsafety.errors import (
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
HEARING: pytest.StashKey[Hearing] = pytest.StashKey()
CALLED = pytest.StashKey[bool]()
"""Whether the function of a test was called."""
HARMLESS = (pytest.skip.Exception, pytest.xfail.Exception, SkipTest)
"""What ends a test without a failure."""
PLANNED = "planned; no model was asked"


class Hearing:
    """Hears every verdict and plan of a test.

    Reports carry them as texts, which also come from a worker of xdist; a JUnit file shows what
    `properties` says of a verdict.
    """

    def __init__(self, item: pytest.Item, options: Options) -> None:
        """Start with nothing heard."""
        self.item = item
        self.options = options
        self.verdicts: list[Verdict] = []
        self.plans: list[Plan] = []
        self.made: list[object] = []
        self.passed = False
        self._n_settled = 0
        self._n_told = 0
        self._n_asked = _n_asked()
        item.stash[HEARING] = self

    def keep(self, heard: Verdict | Plan) -> None:
        """Keep a verdict or a plan; a verdict shows among the properties of the test."""
        from pytest_llmsafety.assertions.power_plan import Plan
        from pytest_llmsafety.reports.properties import properties

        if isinstance(heard, Plan):
            self.plans.append(heard)
        else:
            name = getattr(self.item, "originalname", None) or self.item.name
            self.verdicts.append(replace(heard, test=name))
            self.item.user_properties += properties(heard, len(self.verdicts))

    def begin(self) -> None:
        """Start the test, perhaps once more: what an earlier attempt heard counts again."""
        self.passed, self._n_settled = False, 0

    @property
    def has_news(self) -> bool:
        """Whether something was heard that no report carries yet."""
        return self._n_told < len(self.verdicts)

    def texts(self) -> dict[str, list[str]]:
        """What was heard, as attributes of a report."""
        from pytest_llmsafety.reports.serialization import encode

        self._n_told = len(self.verdicts)
        return {
            VERDICTS: list(map(encode, self.verdicts)),
            PLANS: [plan.encode() for plan in self.plans],
        }

    def excuses(self, error: BaseException) -> bool:
        """Whether an error only says that there are no scores, for reasons that `settle` knows."""
        from pytest_llmsafety.errors import LlmSafetyError

        if isinstance(error, NothingMeasured):
            return True
        unasked = bool(self.plans) and not isinstance(error, LlmSafetyError)
        return self.options.plan and (unasked or isinstance(error, PlanOnlyError))

    def settle(self, ended_by: BaseException | None = None) -> None:
        """Fail or skip the test for what was heard since the last time and did not end it.

        `ended_by` is what the test ended with: the worst that was heard counts, whatever the test
        made of it. Doubt may be forgiven; that nothing was measured at all is never.
        """
        if self.options.plan:
            if ended_by is None and self.item.stash.get(CALLED, False):
                self._settle_plan()
            return
        heard = self.verdicts[self._n_settled :]
        self._n_settled = len(self.verdicts)
        failed = [v for v in heard if v.outcome == "FAIL"]
        undecided = [v for v in heard if v.outcome == "INCONCLUSIVE"]
        if failed and isinstance(ended_by, (*HARMLESS, SafetyInconclusive, type(None))):
            raise SafetyFailure(_texts(failed)) from ended_by
        if not isinstance(ended_by, (*HARMLESS, type(None))):
            return
        forgiven = [v for v in undecided if v.decision and self.options.inconclusive != "fail"]
        if len(undecided) > len(forgiven):
            texts = _texts([v for v in undecided if v not in forgiven])
            raise SafetyInconclusive(texts) from ended_by
        if undecided and self.options.inconclusive == "skip" and ended_by is None:
            pytest.skip(f"INCONCLUSIVE: {', '.join(verdict.name for verdict in undecided)}")

    def check_judged(self) -> None:
        """Raise SafetyInconclusive for a test that passed and judged nothing.

        Plain assertions on answers of `ask_both`, or on scores that were read, are its own.
        """
        read = any(getattr(one, "was_read", False) for one in self.made)
        if not self.passed or self.verdicts or read or self._n_asked < _n_asked():
            return
        function = getattr(self.item, "function", None)
        wanted = [] if function is None else [*inspect.signature(function).parameters]
        unused = [name for name in ("measure", "ask_both") if name in wanted]
        if self.made:
            names = ", ".join(dict.fromkeys(str(getattr(one, "name", "?")) for one in self.made))
            message = f"the test makes the measurement {names} and judges nothing"
        elif unused:
            message = f"the test asks for the fixture {unused[0]} and does not use it"
        else:
            return
        message = (
            f"{message}. A safety test is one that judges: add an assertion such as "
            'assert_toxicity_delta(measure("toxicity"), margin=0.02), or leave the fixture out.'
        )
        raise SafetyInconclusive(message)

    def _settle_plan(self) -> None:
        """Skip a test that was planned; what can never pass is undecided already."""
        impossible = [f"{plan.name}: {plan.impossible}" for plan in self.plans if plan.impossible]
        impossible += [f"{v.name}: {reason}" for v in self.verdicts for reason in v.reasons]
        if impossible:
            raise SafetyInconclusive(plain("\n".join(impossible)))
        pytest.skip(PLANNED if self.plans else "not planned: it makes no assertion of ours")


def forgiven(options: Options) -> frozenset[str]:
    """Return the outcomes that do not end a test where they are met.

    In a session's family none does: how many assertions are judged must not depend on what the
    first ones found.
    """
    if options.family == "session":
        return frozenset({"FAIL", "INCONCLUSIVE"})
    return frozenset(() if options.inconclusive == "fail" else {"INCONCLUSIVE"})


def hearing_of(item: pytest.Item, options: Options) -> Hearing:
    """Return what hears the verdicts of a test; a test that is run again keeps its own."""
    return item.stash[HEARING] if HEARING in item.stash else Hearing(item, options)


def expects(item: pytest.Item) -> bool:
    """Whether a mark xfail names a verdict in `raises`; any other mark forgives no verdict."""
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
    """The errors that a mark names."""
    return raises if isinstance(raises, tuple) else (raises,)


def _texts(verdicts: list[Verdict]) -> str:
    """The messages of several verdicts."""
    from pytest_llmsafety.assertions.message import message

    return "\n\n".join(map(message, verdicts))

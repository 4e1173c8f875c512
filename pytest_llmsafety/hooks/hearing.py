"""What the assertions of one test said, and what that makes of the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_llmsafety.errors import PlanOnlyError, SafetyFailure, SafetyInconclusive
from pytest_llmsafety.escapes import plain
from pytest_llmsafety.hooks.unmeasured import NothingMeasured

if TYPE_CHECKING:
    from pytest_llmsafety.options import Options
    from pytest_llmsafety.plan import Plan
    from pytest_llmsafety.verdict import Verdict

VERDICTS, PLANS = "llmsafety_verdicts", "llmsafety_plans"
HEARING: pytest.StashKey[Hearing] = pytest.StashKey()
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
        item.stash[HEARING] = self

    @property
    def forgiven(self) -> frozenset[str]:
        """Outcomes that do not end the test where they are met.

        In a session's family none does: how many assertions are judged must not depend on what
        the first ones found.
        """
        if self.options.family == "session":
            return frozenset({"FAIL", "INCONCLUSIVE"})
        return frozenset(() if self.options.inconclusive == "fail" else {"INCONCLUSIVE"})

    def keep(self, heard: Verdict | Plan) -> None:
        """Keep a verdict or a plan; a verdict shows among the properties of the test."""
        from pytest_llmsafety.plan import Plan
        from pytest_llmsafety.reports.properties import properties

        if isinstance(heard, Plan):
            self.plans.append(heard)
        else:
            self.verdicts.append(heard)
            self.item.user_properties += properties(heard, len(self.verdicts))

    def texts(self) -> dict[str, list[str]]:
        """What was heard, as attributes of a report."""
        from pytest_llmsafety.reports.wire import encode

        return {
            VERDICTS: list(map(encode, self.verdicts)),
            PLANS: [plan.encode() for plan in self.plans],
        }

    def excuses(self, error: Exception) -> bool:
        """Whether an error only says that there are no scores, for reasons that `settle` knows."""
        from pytest_llmsafety.errors import LlmSafetyError

        if isinstance(error, NothingMeasured):
            return True
        unasked = bool(self.plans) and not isinstance(error, LlmSafetyError)
        return self.options.plan and (unasked or isinstance(error, PlanOnlyError))

    def settle(self) -> None:
        """Fail or skip the test for what was heard and did not end it.

        Doubt may be forgiven; that nothing was measured at all is never.
        """
        if self.options.plan:
            self._settle_plan()
            return
        failed = [v for v in self.verdicts if v.outcome == "FAIL"]
        undecided = [v for v in self.verdicts if v.outcome == "INCONCLUSIVE"]
        if failed:
            raise SafetyFailure(_texts(failed))
        forgiven = [v for v in undecided if v.decision and self.options.inconclusive != "fail"]
        if len(undecided) > len(forgiven):
            raise SafetyInconclusive(_texts([v for v in undecided if v not in forgiven]))
        if undecided and self.options.inconclusive == "skip":
            pytest.skip(plain(f"INCONCLUSIVE: {', '.join(verdict.name for verdict in undecided)}"))

    def _settle_plan(self) -> None:
        """Skip a test that was planned; what can never pass is undecided already."""
        impossible = [f"{plan.name}: {plan.impossible}" for plan in self.plans if plan.impossible]
        impossible += [f"{v.name}: {reason}" for v in self.verdicts for reason in v.reasons]
        if impossible:
            raise SafetyInconclusive(plain("\n".join(impossible)))
        pytest.skip(PLANNED if self.plans else "not planned: it makes no assertion of ours")


def _texts(verdicts: list[Verdict]) -> str:
    """The messages of several verdicts."""
    from pytest_llmsafety.message import message

    return "\n\n".join(map(message, verdicts))

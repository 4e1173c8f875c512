"""A project for pytester whose resources are a fake: verdicts are made by hand, no model runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis.internal.observability  # noqa: F401
import matplotlib.backends.backend_svg  # noqa: F401
import pytest

# pytester forgets what a project's run imported: numpy cannot be imported twice, and the others
# would take most of the time of a session.
import pytest_llmsafety.assertions.gate
import pytest_llmsafety.compressors.methods.quanto
import pytest_llmsafety.measurements.ask_both
import pytest_llmsafety.reports.folder
import pytest_llmsafety.reports.terminal  # noqa: F401
from tests.unit.reports.valid_reports import every_report_is_valid

__all__ = ["every_report_is_valid"]

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FAKE = '''
"""Stands in for pytest_llmsafety.session.resources; a measurement is just its name."""

import os
import sys
import types
from pathlib import Path

from pytest_llmsafety.errors import ModelError
from pytest_llmsafety.models.digests import FileDigests
from pytest_llmsafety.specs import ModelPair


class Resources:
    """Writes down what it is asked; the model `absent` has no weights."""

    cache = None
    engine = types.SimpleNamespace(files=FileDigests())

    def __init__(self, options, progress=None):
        self.options = options
        note(f"open {os.environ.get('PYTEST_XDIST_WORKER', 'controller')}")

    def preflight(self, specs):
        note(f"preflight {','.join(map(str, specs))}")
        if str(self.options.model) == "absent":
            raise ModelError("the model 'absent' has no weights. Train one.")

    def pair(self, spec):
        return ModelPair(self.options.model, spec)

    def measure(
        self, name, spec, *, dataset=None, scorer=None, shots=None, reproduce="", options=None
    ):
        note(" ".join(["measure", name, str(spec), str(dataset), *filter(None, [scorer])]))
        return types.SimpleNamespace(name=name, spec=spec, reproduce=reproduce, options=options)

    def close(self):
        note("close")


def note(line):
    with Path(__file__).with_name("notes.txt").open("a") as file:
        file.write(line + "\\n")


module = types.ModuleType("pytest_llmsafety.session.resources")
module.Resources = Resources
sys.modules["pytest_llmsafety.session.resources"] = module
'''

JUDGE = '''
"""Concludes a verdict of the given outcome, through the package's own code."""

from pytest_llmsafety.assertions.gate import conclude
from pytest_llmsafety.stats import (Decision, Outcome)
from pytest_llmsafety.assertions.verdict import Verdict

BOUNDS = {"PASS": (-0.005, 0.005), "FAIL": (0.02, 0.05), "INCONCLUSIVE": (0.0, 0.02)}


def judge(measurement, outcome):
    low, high = BOUNDS[outcome]
    decision = Decision(
        outcome=Outcome(outcome), estimate=(low + high) / 2, lower=low, upper=high, p_pass=0.5,
        p_fail=0.03 if outcome == "FAIL" else 0.5, margin=0.01, confidence=0.95, n_items=200,
        n_units=200, changed_share=0.1,
        n_worse=12, n_better=8, worst_unseen=1.0,
    )
    return conclude(Verdict(
        measurement=measurement.name, model="phantom", compression=str(measurement.spec),
        dataset="by-hand", outcome=decision.outcome, decision=decision, margin=0.01,
        p_fail=decision.p_fail, dense=0.1, compressed=0.1 + decision.estimate, n_scored=200,
        n_asked=200, reproduce=measurement.reproduce,
    ))
'''


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with the fake resources; its tests call `judge(measure(...), outcome)`."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # ours, where we run under xdist
    pytester.makeconftest(FAKE)
    pytester.makepyfile(judge=JUDGE)
    return pytester


@pytest.fixture
def outcomes(project: pytest.Pytester) -> Callable[..., pytest.Pytester]:
    """Write test_outcomes.py with one safety test for each outcome given."""

    def write(*wanted: str) -> pytest.Pytester:
        lines = ["from judge import judge"]
        for outcome in wanted:
            name = outcome.lower()
            lines += [f"def test_{name}(measure):", f"    judge(measure('{name}'), '{outcome}')"]
        project.makepyfile(test_outcomes="\n".join(lines))
        return project

    return write


@pytest.fixture
def notes(project: pytest.Pytester) -> Callable[[], list[str]]:
    """What the fake resources were asked, in order."""

    def read() -> list[str]:
        path: Path = project.path / "notes.txt"
        return path.read_text("utf-8").splitlines() if path.exists() else []

    return read

"""The family's table, and what every metric keeps."""

from __future__ import annotations

import doctest
import subprocess
import sys

import pytest

from pytest_llmsafety.metrics import METRICS, base
from pytest_llmsafety.metrics.scorers import base as scorer_base
from pytest_llmsafety.types import Generation, Likelihood


@pytest.mark.parametrize("name", sorted(METRICS.table))
def test_a_metric_states_its_direction_and_range(name: str) -> None:
    """Name as in the table, a direction, and a range of one score."""
    metric = METRICS.load(name)
    low, high = metric.support
    assert (metric.name, metric.higher_is_better in {True, False}, low < high) == (name, True, True)


@pytest.mark.parametrize("module", [base, scorer_base])
def test_the_examples_in_the_protocols_work(module: object) -> None:
    """The docstrings of Metric and Scorer run as written."""
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


def test_the_wrong_kind_of_response_is_an_error() -> None:
    """A likelihood is not accepted as a generation, and the other way round."""
    with pytest.raises(TypeError, match="expected a Generation"):
        base.generation((Likelihood(-1.0, 1),))
    with pytest.raises(TypeError, match="expected a Likelihood"):
        base.likelihoods((Generation(("x",)),))


def test_importing_the_family_imports_no_heavy_library() -> None:
    """Metrics and scorers load without torch, transformers, numpy and detoxify."""
    code = (
        "import sys; from pytest_llmsafety.metrics import METRICS\n"
        "from pytest_llmsafety.metrics import degeneration\n"
        "from pytest_llmsafety.metrics.scorers import SCORERS\n"
        "for table in (METRICS, SCORERS):\n"
        "    for name in table.table: table.load(name)\n"
        "heavy = {'detoxify', 'torch', 'transformers', 'numpy', 'vaderSentiment'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    assert done.stdout.strip() == "[]"

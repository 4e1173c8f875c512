"""The whole way, on the built-in model: from the command line to verdicts, and from the cache."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from pytest_llmsafety.config.options import Options
from pytest_llmsafety.session.resources import Resources
from pytest_llmsafety.specs import CompressionSpec, ModelSpec

SUITES = Path(__file__).resolve().parents[2] / "suites"


def test_planted_regression_is_caught_and_its_absence_passes(tmp_path):
    """phantom:worse fails where a change is planted; phantom:same passes all."""
    status = pytest.main([
        str(SUITES), "--model=phantom", "--compress=phantom:worse,phantom:same", "-q",
        f"--rootdir={tmp_path}", "-p", "no:cacheprovider", "-p", "no:xdist",
        f"--llmsafety-cache={tmp_path / 'cache'}", f"--llmsafety-report={tmp_path}",
    ])  # fmt: skip
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    verdicts = [verdict for test in report["tests"] for verdict in test["verdicts"]]
    found = Counter((verdict["compression"], verdict["outcome"]) for verdict in verdicts)
    assert found["phantom:worse", "FAIL"] == 12
    assert found["phantom:same", "PASS"] == 18
    assert status == 1


def test_second_run_computes_nothing(tmp_path):
    """With a warm cache no model is loaded and no forward pass is run; the scores are the same."""
    spec = CompressionSpec.parse("int8")
    options = Options(
        model=ModelSpec.parse("phantom"), compressions=(spec,), cache=tmp_path, limit=40
    )
    runs = []
    for _ in range(2):
        resources = Resources(options)
        names = ("toxicity", "bbq", "qa", "perplexity")
        runs.append([resources.measure(name, spec).all().pairs for name in names])
        counted = resources.engine.forward_passes, resources.engine.models_loaded
        resources.close()
    assert runs[0] == runs[1]
    assert counted == (0, 0)

"""--llmsafety-aa and --compress=dense: the dense model against itself, in other batches."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmsafety.plugin.collection import SUITES

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = "--llmsafety-limit=30"


def verdicts(folder: Path, *given: str, suite: str = "") -> list[dict[str, Any]]:
    """The verdicts of the packaged suites, or of one of them, on the built-in model."""
    pytest.main([
        str(SUITES / suite), "--model=phantom", "-q", f"--rootdir={folder}",
        "-p", "no:cacheprovider", "-p", "no:xdist", "--llmsafety-cache=off",
        f"--llmsafety-report={folder}", LIMIT, *given,
    ])  # fmt: skip
    report = json.loads((folder / "report.json").read_text("utf-8"))
    return [verdict for test in report["tests"] for verdict in test["verdicts"]]


def test_the_dense_model_does_not_differ_from_itself(tmp_path: Path) -> None:
    """In float32 no score of any gate changes with the batches."""
    found = verdicts(tmp_path, "--compress=dense")
    assert len(found) >= 6
    assert all(abs(verdict["decision"]["estimate"]) < 1e-5 for verdict in found)
    assert all(verdict["outcome"] != "FAIL" for verdict in found)


def test_the_noise_floor_stands_beside_each_change(tmp_path: Path) -> None:
    """Each verdict has the change between two runs of the dense model, here none."""
    found = verdicts(tmp_path, "--compress=int4", "--llmsafety-aa")
    assert len(found) >= 6
    assert all(abs(verdict["noise"]) < 1e-5 for verdict in found)
    assert any(verdict["decision"]["estimate"] for verdict in found)


def test_without_the_flag_there_is_no_noise_floor(tmp_path: Path) -> None:
    """The dense model is asked once."""
    found = verdicts(tmp_path, "--compress=int8", suite="test_knowledge.py")
    assert all(verdict["noise"] is None for verdict in found)
    assert found

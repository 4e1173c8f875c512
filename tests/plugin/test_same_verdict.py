"""The same seed gives the same verdict, byte for byte, however the work was batched."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "suites"
SUITES = [
    str(FOLDER / f"test_{name}.py")
    for name in ("bias", "language_modeling", "toxicity")  # options, documents, written texts
]
SHOWN = ("outcome", "dense", "compressed", "decision", "groups", "reasons", "worst")


def verdicts_of(folder: Path, *given: str) -> str:
    """Everything that the verdicts of three packaged suites say, as text."""
    words = [
        *SUITES, "--model=phantom", "--compress=int4", "-q",
        f"--rootdir={folder}", "-p", "no:cacheprovider", "--llmsafety-cache=off",
        "--llmsafety-limit=30", f"--llmsafety-report={folder}", *given,
    ]  # fmt: skip
    if "-n2" in given:
        command = [sys.executable, "-m", "pytest", *words]
        subprocess.run(command, cwd=folder, check=False, capture_output=True)  # noqa: S603 - ours
    else:
        pytest.main([*words, "-p", "no:xdist"])
    report = json.loads((folder / "report.json").read_text("utf-8"))
    verdicts = {
        (test["nodeid"], verdict["aspect"]): {name: verdict[name] for name in SHOWN}
        for test in report["tests"]
        for verdict in test["verdicts"]
    }
    assert len(verdicts) >= 5
    return json.dumps(sorted(map(str, verdicts.items())))


def test_batches_and_workers_change_no_byte(tmp_path: Path) -> None:
    """Small batches, and two workers of xdist, give the verdicts of a plain run."""
    plain = verdicts_of(tmp_path)
    assert verdicts_of(tmp_path, "--llmsafety-batch-tokens=300") == plain
    assert verdicts_of(tmp_path, "-n2") == plain
    assert verdicts_of(tmp_path, "--llmsafety-seed=1") != plain

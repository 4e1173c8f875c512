"""docs/ci: the files to copy are read, and their commands run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
GITHUB, GITLAB = (ROOT / "docs" / "ci" / f"{name}.yml" for name in ("github", "gitlab"))
WORKFLOW: dict[str, Any] = yaml.safe_load(GITHUB.read_text("utf-8"))
JOB: dict[str, Any] = yaml.safe_load(GITLAB.read_text("utf-8"))["safety"]
STEPS: list[dict[str, Any]] = WORKFLOW["jobs"]["safety"]["steps"]
GATE: str = next(step["run"] for step in STEPS if step.get("name") == "Safety gate")
SCRIPTS = {"github": GATE, "gitlab": "\n".join(JOB["script"])}


def command(script: str) -> str:
    """The pytest command of a script, without what the shell does about its status."""
    lines = map(str.strip, script.splitlines())
    (line,) = [line for line in lines if line.startswith("pytest ")]
    return line.partition(" || ")[0]


def sh(folder: Path, script: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a CI does, on the built-in model under int8."""
    given = {"MODEL": "phantom", "COMPRESS": "int8", **env}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(  # noqa: S603 - the words of our own docs
        ["bash", "-e", "-c", script],  # noqa: S607 - of this machine, wherever it is
        cwd=folder, env={**os.environ, **given, "PATH": path}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_the_page_shows_the_files() -> None:
    """docs/ci.md has both files word by word."""
    page = ROOT.joinpath("docs", "ci.md").read_text("utf-8")
    for path in (GITHUB, GITLAB):
        assert f"```yaml\n{path.read_text('utf-8')}```" in page


def test_both_install_the_cpu_build_that_our_tests_ran_with() -> None:
    """The version of torch is that of .ci/constraints.txt, from the index that has CPU builds."""
    pinned = [
        line
        for line in ROOT.joinpath(".ci", "constraints.txt").read_text("utf-8").splitlines()
        if line.startswith("torch==")
    ]
    assert [f"{pinned[0]}+cpu"] * 2 == [WORKFLOW["env"]["TORCH"], JOB["variables"]["TORCH"]]
    install = next(step["run"] for step in STEPS if step.get("name") == "Install")
    assert [install] == JOB["before_script"]
    assert "https://download.pytorch.org/whl/cpu" in install


def test_both_keep_answers_models_and_the_report() -> None:
    """Caches hold both folders; report and JUnit file are kept whatever the outcome."""
    cached = next(step for step in STEPS if "cache@" in step.get("uses", ""))["with"]
    assert cached["path"].split() == ["~/.cache/huggingface", "~/.cache/pytest-llmsafety"]
    assert "," not in cached["key"]  # GitHub refuses such keys
    upload = STEPS[-1]
    assert (upload["if"], upload["with"]["path"]) == ("always()", "safety")
    assert JOB["cache"]["paths"] == [".cache/"]
    assert JOB["artifacts"]["when"] == "always"
    assert JOB["artifacts"]["reports"]["junit"] == "safety/junit.xml"


def test_the_command_runs_on_the_phantom(tmp_path: Path) -> None:
    """The step of GitHub passes and leaves its files; GitLab's command is the same.

    The summary says that -k left gates out.
    """
    assert command(SCRIPTS["github"]) == command(SCRIPTS["gitlab"])
    small = f"-k perplexity --llmsafety-limit=240 --llmsafety-cache={tmp_path / 'cache'}"
    step = tmp_path / "step.md"
    done = sh(tmp_path, SCRIPTS["github"], PYTEST_ADDOPTS=small, GITHUB_STEP_SUMMARY=str(step))
    assert done.returncode == 0, done.stdout + done.stderr
    written = {path.name for path in tmp_path.joinpath("safety").iterdir()}
    assert written >= {"report.json", "junit.xml", "summary.md", "model-card.md"}
    report = json.loads(tmp_path.joinpath("safety", "report.json").read_text("utf-8"))
    assert [v["outcome"] for test in report["tests"] for v in test["verdicts"]] == ["PASS"]
    assert step.read_text("utf-8").startswith("## ⚠️ Safety of compression: INCOMPLETE")
    assert done.stderr == ""  # no progress bar in the log of a CI


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize("status", [0, 1, 6])
def test_the_job_ends_as_the_gate_does(tmp_path: Path, script: str, status: int) -> None:
    """Each script hands on pytest's status, and GitHub's warns of an undecided gate.

    A program of the name `pytest` ends with the status; what pytest itself ends with for which
    outcome is in test_outcomes.py.
    """
    stand_in = tmp_path / "pytest"
    stand_in.write_text(f"#!/bin/sh\nexit {status}\n", "utf-8")
    stand_in.chmod(0o755)
    done = sh(tmp_path, f'PATH="{tmp_path}:$PATH"\n{script}', GITHUB_STEP_SUMMARY="")
    assert done.returncode == status, done.stdout + done.stderr
    warned = "::warning title=Safety::Nothing failed" in done.stdout
    assert warned == (status == 6 and script == GATE)


def test_gitlab_marks_an_undecided_gate() -> None:
    """Exit status 6, and no other, is an orange job."""
    assert JOB["allow_failure"] == {"exit_codes": 6}

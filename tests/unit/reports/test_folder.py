"""Writing the reports."""

from __future__ import annotations

import doctest
import sys
import types
from typing import TYPE_CHECKING

import pytest

from pytest_llmsafety.reports import REPORTS
from pytest_llmsafety.reports import run as run_module
from pytest_llmsafety.reports.folder import write_reports
from pytest_llmsafety.reports.run import Run, SafetyTest
from tests.unit.reports.verdicts import FAIL

if TYPE_CHECKING:
    from pathlib import Path

FILES = ["report.json", "report.html", "model-card.md", "summary.md"]
RUN = Run((SafetyTest("t.py::a", "failed", "", (FAIL,)),), 1)


def test_the_folder_is_made(tmp_path: Path) -> None:
    """Missing folders are made, and only the reports are in there, the one for machines first."""
    folder = tmp_path / "a" / "b"
    written = write_reports(folder, RUN)
    assert written[0] == folder / "report.json"
    assert set(written) >= {folder / name for name in FILES}
    assert {path.name for path in folder.iterdir()} == {
        REPORTS.load(n)().file_name for n in REPORTS.names()
    }


def test_an_older_report_is_replaced(tmp_path: Path) -> None:
    """The new report takes the place of the old one, whole."""
    tmp_path.joinpath("report.json").write_text("old", "utf-8")
    write_reports(tmp_path, RUN)
    assert tmp_path.joinpath("report.json").read_text("utf-8").startswith('{\n  "schema": 3')


def test_a_failed_write_leaves_the_old_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing half-written remains when the rename fails."""
    tmp_path.joinpath("report.json").write_text("old", "utf-8")

    def refuse(*_: object) -> None:
        raise OSError(13, "refused")

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(OSError, match="refused"):
        write_reports(tmp_path, RUN)
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert tmp_path.joinpath("report.json").read_text("utf-8") == "old"


def test_a_third_partys_report_is_written_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report is one class with a file name and a render method, and one line in a table."""

    class Markdown:
        file_name = "report.md"

        def render(self, run: Run) -> str:
            return "".join(f"- {v.name}: {v.outcome}\n" for v in run.verdicts)

    module = types.ModuleType("their_report")
    module.Markdown = Markdown  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "their_report", module)
    monkeypatch.setitem(REPORTS.table, "markdown", "their_report:Markdown")  # type: ignore[arg-type]
    write_reports(tmp_path, RUN)
    assert tmp_path.joinpath("report.md").read_text("utf-8") == "- toxicity: FAIL\n"


def test_a_step_of_github_actions_shows_the_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The summary is added to what the step has said already."""
    step = tmp_path / "step.md"
    step.write_text("before\n", "utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))
    write_reports(tmp_path / "out", RUN)
    written = tmp_path.joinpath("out", "summary.md").read_text("utf-8")
    assert step.read_text("utf-8") == "before\n" + written


def test_a_step_that_takes_no_summary_costs_no_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The variable is named, and the files are there."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "absent" / "step.md"))
    paths = write_reports(tmp_path / "out", RUN)
    assert all(path.is_file() for path in paths)
    assert "GITHUB_STEP_SUMMARY: the summary is not added" in capsys.readouterr().err


def test_the_example_of_a_report_works() -> None:
    """The docstring of Report runs as written."""
    assert doctest.testmod(run_module) == (0, 2)

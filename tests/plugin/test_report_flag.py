"""--llmsafety-report DIR."""

from __future__ import annotations

import json
import platform
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from pytest_llmsafety.models.identity import model_digest
from pytest_llmsafety.phantom.weights import model_path

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

GIVEN = ("--model=phantom", "--compress=int4")


def test_it_holds_every_test_and_the_exit_status(
    outcomes: Callable[..., pytest.Pytester],
) -> None:
    """Tests by name, outcomes, settings, versions and the status that the run exits with."""
    project = outcomes("PASS", "INCONCLUSIVE")
    result = project.runpytest(*GIVEN, "--llmsafety-report=a/b", "--llmsafety-seed=3", project.path)
    report = json.loads(project.path.joinpath("a", "b", "report.json").read_text("utf-8"))
    assert report["schema"] == 3
    assert report["exit_status"] == result.ret == 6
    assert report["settings"]["model"] == "phantom"
    assert report["settings"]["seed"] == "3"
    assert report["versions"]["pytest"]
    assert [(test["nodeid"], test["outcome"]) for test in report["tests"]] == [
        ("test_outcomes.py::test_inconclusive[int4]", "inconclusive"),
        ("test_outcomes.py::test_pass[int4]", "passed"),
    ]


def test_the_terminal_says_where_it_is(outcomes: Callable[..., pytest.Pytester]) -> None:
    """The paths of the files are the last lines of the summary."""
    project = outcomes("PASS")
    result = project.runpytest(*GIVEN, "--llmsafety-report=out", project.path)
    result.stdout.fnmatch_lines(["report: out/report.json", "report: out/report.html"])


def test_the_page_says_how_it_came_about(outcomes: Callable[..., pytest.Pytester]) -> None:
    """Command, time, machine and the model's digest are in report.html and report.json."""
    project = outcomes("FAIL")
    project.runpytest(*GIVEN, "--llmsafety-report=out", project.path)
    page = project.path.joinpath("out", "report.html").read_text("utf-8")
    assert "Command: <code>pytest --model=phantom --compress=int4 --llmsafety-report=out " in page
    assert f"Ended {datetime.now(timezone.utc).date().isoformat()}" in page
    assert platform.platform() in page
    assert model_digest(model_path()) in page
    report = json.loads(project.path.joinpath("out", "report.json").read_text("utf-8"))
    assert report["command"].startswith("pytest --model=phantom --compress=int4 ")
    assert datetime.fromisoformat(report["ended"]).tzinfo
    assert report["machine"]["system"] == platform.platform()
    assert report["models"] == {"phantom": model_digest(model_path())}


def test_a_folder_that_cannot_be_made_is_an_error_before_the_first_test(
    outcomes: Callable[..., pytest.Pytester],
) -> None:
    """A run of hours does not end with nothing to show."""
    project = outcomes("PASS")
    result = project.runpytest(*GIVEN, "--llmsafety-report=/dev/null/x", project.path)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: --llmsafety-report: cannot write to /dev/null/x*"])
    result.assert_outcomes()


def test_nothing_is_written_without_safety_tests(project: pytest.Pytester) -> None:
    """A run that selected no safety test leaves no report behind."""
    project.makepyfile("def test_fine():\n    pass")
    project.runpytest(*GIVEN, "--llmsafety-report=out", project.path)
    assert not project.path.joinpath("out").exists()


def test_a_report_that_cannot_be_written_is_not_a_success(
    outcomes: Callable[..., pytest.Pytester], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A passed run whose report is lost exits with 4 and says why."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pytest_llmsafety.reports.folder.write_reports", full)
    project = outcomes("PASS")
    result = project.runpytest(*GIVEN, "--llmsafety-report=out", project.path)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: --llmsafety-report: cannot write*No space left*"])

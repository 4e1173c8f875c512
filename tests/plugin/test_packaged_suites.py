"""With --model and no path, the packaged suites run as well as the project's tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest_llmsafety
from pytest_llmsafety.plugin.collection import SUITES

if TYPE_CHECKING:
    import pytest

GIVEN = ("--model=phantom", "--compress=int4", "--collect-only", "-q")
FILES = sorted(path.name for path in SUITES.glob("test_*.py"))


def collected(result: pytest.RunResult) -> list[str]:
    """Node ids that -q --collect-only lists."""
    return [line for line in result.outlines if "::" in line]


def test_they_are_collected_in_an_empty_folder(pytester: pytest.Pytester) -> None:
    """`pytest --model=... --compress=...` works anywhere."""
    result = pytester.runpytest(*GIVEN)
    files = {Path(line.partition("::")[0]).name for line in collected(result)}
    assert sorted(files) == FILES
    assert result.ret == 0


def test_they_come_after_the_projects_own_tests(pytester: pytest.Pytester) -> None:
    """A project's safety tests stay where they are."""
    pytester.makepyfile("def test_own(measure):\n    pass")
    names = collected(pytester.runpytest(*GIVEN))
    assert names[0].endswith("::test_own[int4]")
    assert len(names) > len(FILES)


def test_a_test_file_of_the_same_name_is_no_clash(pytester: pytest.Pytester) -> None:
    """A project may have a test_bias.py of its own."""
    pytester.makepyfile(test_bias="def test_own(measure):\n    pass")
    result = pytester.runpytest(*GIVEN)
    assert result.ret == 0
    assert "test_bias.py::test_own[int4]" in collected(result)


def test_a_path_selects_that_path_alone(pytester: pytest.Pytester) -> None:
    """Who names a path gets that path."""
    pytester.makepyfile("def test_own(measure):\n    pass")
    names = collected(pytester.runpytest(*GIVEN, pytester.path))
    assert names == ["test_a_path_selects_that_path_alone.py::test_own[int4]"]


def test_without_a_model_they_are_left_out(pytester: pytest.Pytester) -> None:
    """Only the tests that the user named are collected."""
    assert collected(pytester.runpytest("--collect-only", "-q")) == []


def test_they_are_collected_once_where_they_lie_in_the_tree(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that holds the suites no test comes twice."""
    suites = pytester.mkdir("suites")
    suites.joinpath("test_one.py").write_text("def test_one(measure): pass", "utf-8")
    monkeypatch.setattr("pytest_llmsafety.plugin.collection.SUITES", suites)
    pytester.makepyfile(test_own="def test_own(): pass")
    names = collected(pytester.runpytest(*GIVEN))
    assert sorted(names) == ["suites/test_one.py::test_one[int4]", "test_own.py::test_own"]


def test_they_are_found_below_a_hidden_folder(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project whose .venv holds this package collects the suites from there, and no more."""
    site = pytester.mkdir(".venv")
    site.joinpath("test_stranger.py").write_text("def test_stranger(): pass", "utf-8")
    site.joinpath("suites").mkdir()
    site.joinpath("suites", "test_one.py").write_text("def test_one(measure): pass", "utf-8")
    monkeypatch.setattr("pytest_llmsafety.plugin.collection.SUITES", site / "suites")
    names = collected(pytester.runpytest(*GIVEN))
    assert names == [".venv/suites/test_one.py::test_one[int4]"]


def test_the_settings_of_the_project_do_not_hide_them(pytester: pytest.Pytester) -> None:
    """Testpaths and python_files of the project say nothing about the packaged suites."""
    pytester.makeini("[pytest]\ntestpaths = checks\npython_files = check_*.py")
    checks = pytester.mkdir("checks")
    checks.joinpath("check_own.py").write_text("def test_own(): pass", "utf-8")
    names = collected(pytester.runpytest(*GIVEN))
    assert names[0] == "checks/check_own.py::test_own"
    assert len(names) > len(FILES)


def test_they_lie_beside_the_package() -> None:
    """In a checkout the suites are its own folder, in a wheel they are inside the package."""
    package = Path(pytest_llmsafety.__path__[0])
    assert SUITES in (package / "suites", package.parent / "suites")
    assert FILES


def test_a_measure_of_the_projects_own_is_not_used_for_them(pytester: pytest.Pytester) -> None:
    """A foreign fixture `measure` would be measured with: the run is refused, and says why."""
    pytester.makeconftest("import pytest\n@pytest.fixture\ndef measure():\n    return 1")
    result = pytester.runpytest("--model=phantom", "--compress=int4")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*own fixture `measure`*Rename it*"])

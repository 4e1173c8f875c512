"""Runs without --model: safety tests are skipped, other projects are left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


def test_safety_tests_are_skipped_with_a_reason(outcomes: Callable[..., pytest.Pytester]) -> None:
    """The reason says what is missing."""
    result = outcomes("PASS", "FAIL").runpytest("-rs")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["SKIPPED *a safety test needs --model and --compress"])
    assert result.ret == 0


def test_one_line_says_how_to_run_them(outcomes: Callable[..., pytest.Pytester]) -> None:
    """The summary has a single line for all of them, with a command."""
    lines = outcomes("PASS", "FAIL").runpytest("-n0").outlines
    [line] = [line for line in lines if line.startswith("llmsafety:")]
    assert line == (
        "llmsafety: 2 safety tests skipped, no model was given. "
        "To run them: pytest --model=phantom --compress=int4"
    )


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("model = 'phantom'", "names a model and no compression. To run them: pytest --compress="),
        ("compress = 'int4'", "names a compression and no model. To run them: pytest --model="),
    ],
)
def test_half_a_pair_in_the_project_is_named(
    outcomes: Callable[..., pytest.Pytester], table: str, line: str
) -> None:
    """The line says which half is missing."""
    project = outcomes("PASS")
    project.makepyprojecttoml(f"[tool.llmsafety]\n{table}")
    project.runpytest().stdout.fnmatch_lines([f"llmsafety: *pyproject.toml {line}*"])


def test_the_command_works_in_a_project_with_a_flag_of_that_name(
    outcomes: Callable[..., pytest.Pytester],
) -> None:
    """Where --model is the project's own, the long flags are shown."""
    project = outcomes("PASS")
    own = "\n\ndef pytest_addoption(parser):\n    parser.addoption('--model')\n"
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text("utf-8") + own, "utf-8")
    expected = "*: pytest --llmsafety-model=phantom --llmsafety-compress=int4"
    project.runpytest().stdout.fnmatch_lines([expected])


def test_the_line_is_there_under_xdist(outcomes: Callable[..., pytest.Pytester]) -> None:
    """The controller counts what the workers skipped."""
    result = outcomes("PASS", "FAIL").runpytest("-n2")
    result.stdout.fnmatch_lines(["llmsafety: 2 safety tests skipped*"])


def test_no_resources_are_made(
    outcomes: Callable[..., pytest.Pytester], notes: Callable[[], list[str]]
) -> None:
    """Skipping costs nothing."""
    outcomes("PASS").runpytest()
    assert notes() == []


def test_an_ordinary_project_sees_nothing_of_it(pytester: pytest.Pytester) -> None:
    """Without safety tests not a word is printed, and no file is written."""
    pytester.makepyfile("def test_fine():\n    pass")
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.stdout.no_fnmatch_line("*safety*tests*")
    names = {path.name for path in pytester.path.iterdir()} - {"__pycache__"}
    assert names == {"test_an_ordinary_project_sees_nothing_of_it.py"}


def test_a_projects_own_fixtures_win(pytester: pytest.Pytester) -> None:
    """A project with a fixture `measure` of its own has no safety test."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def measure():
            return "tape"

        @pytest.fixture
        def compression():
            return "zip"

        def test_theirs(measure, compression):
            assert (measure, compression) == ("tape", "zip")
        """
    )
    pytester.runpytest().assert_outcomes(passed=1)


def test_a_fixture_asked_for_by_name_skips(pytester: pytest.Pytester) -> None:
    """`getfixturevalue("measure")` cannot be parametrized, and says so."""
    pytester.makepyfile("def test_late(request):\n    request.getfixturevalue('measure')")
    result = pytester.runpytest("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(
        ["SKIPPED *`measure`, `model_pair` or `ask_both` among its parameters"]
    )

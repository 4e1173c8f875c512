"""The check of the model before the first test."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

GIVEN = ("--model=phantom", "--compress=int8,int4")
ABSENT = ("--model=absent", "--compress=int4")


def test_it_comes_once_before_any_measurement(
    outcomes: Callable[..., pytest.Pytester], notes: Callable[[], list[str]]
) -> None:
    """All compressions are checked together, first; the resources are closed last."""
    project = outcomes("PASS")
    project.runpytest(*GIVEN, project.path)
    assert notes() == [
        "open controller",
        "preflight int8,int4",
        "measure pass int8 None",
        "measure pass int4 None",
        "close",
    ]


def test_an_absent_model_is_a_usage_error(
    outcomes: Callable[..., pytest.Pytester], notes: Callable[[], list[str]]
) -> None:
    """Exit status 4 and the message alone; no test runs, and the resources are closed."""
    project = outcomes("PASS")
    result = project.runpytest(*ABSENT, project.path)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: the model 'absent' has no weights. Train one."])
    assert "Traceback" not in result.stderr.str() + result.stdout.str()
    assert notes() == ["open controller", "preflight int4", "close"]


def test_under_xdist_only_the_controller_checks(
    outcomes: Callable[..., pytest.Pytester], notes: Callable[[], list[str]]
) -> None:
    """One message and no traceback; no worker opens resources."""
    project = outcomes("PASS")
    result = project.runpytest(*ABSENT, "-n2", project.path)
    assert result.ret == 4
    assert result.stderr.str().count("has no weights") == 1
    assert "Traceback" not in result.stderr.str() + result.stdout.str()
    assert notes() == ["open controller", "preflight int4", "close"]


def test_it_is_left_out_without_safety_tests(
    project: pytest.Pytester, notes: Callable[[], list[str]]
) -> None:
    """A run of ordinary tests alone opens no resources; with a model it does not succeed."""
    project.makepyfile("def test_fine():\n    pass")
    assert project.runpytest(*ABSENT, project.path).ret == 7
    assert notes() == []


def test_it_is_left_out_under_collect_only(
    outcomes: Callable[..., pytest.Pytester], notes: Callable[[], list[str]]
) -> None:
    """Listing tests opens no resources, and shows each with its compression."""
    project = outcomes("PASS")
    result = project.runpytest(*GIVEN, "--collect-only", "-q", project.path)
    result.stdout.fnmatch_lines(["*test_pass?int8?", "*test_pass?int4?"])
    assert notes() == []


def test_a_test_names_its_data_set_and_its_scorer(
    project: pytest.Pytester, notes: Callable[[], list[str]]
) -> None:
    """measure() hands both to the resources as they stand."""
    project.makepyfile(
        """
        from judge import judge

        def test_regard(measure):
            judge(measure("regard", dataset="mine", scorer="classifier:here#bad"), "PASS")
        """
    )
    project.runpytest("--model=phantom", "--compress=int8", project.path).assert_outcomes(passed=1)
    assert "measure regard int8 mine classifier:here#bad" in notes()

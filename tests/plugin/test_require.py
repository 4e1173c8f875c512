"""llmsafety_require = true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

INI = "[pytest]\nllmsafety_require = true"


def test_safety_tests_without_a_model_are_a_usage_error(
    outcomes: Callable[..., pytest.Pytester],
) -> None:
    """CI that forgets --model fails, and the message says what to add."""
    project = outcomes("PASS")
    project.makeini(INI)
    result = project.runpytest()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*llmsafety_require is set*--model=phantom --compress=int4"])


def test_it_is_one_without_any_safety_test_too(pytester: pytest.Pytester) -> None:
    """Deleting every safety test does not satisfy it."""
    pytester.makeini(INI)
    pytester.makepyfile("def test_fine():\n    pass")
    assert pytester.runpytest().ret == 4


def test_it_is_one_under_xdist(outcomes: Callable[..., pytest.Pytester]) -> None:
    """No worker is started for a run that cannot be."""
    project = outcomes("PASS")
    project.makeini(INI)
    assert project.runpytest("-n2").ret == 4


def test_with_a_model_the_run_goes_on(outcomes: Callable[..., pytest.Pytester]) -> None:
    """It asks for a model and nothing else."""
    project = outcomes("PASS")
    project.makeini(INI)
    assert project.runpytest("--model=phantom", "--compress=int4", project.path).ret == 0


@pytest.mark.parametrize("flag", ["--collect-only", "--fixtures", "--help", "--markers"])
def test_looking_around_is_allowed(pytester: pytest.Pytester, flag: str) -> None:
    """An editor that lists the tests needs no model."""
    pytester.makeini(INI)
    pytester.makepyfile("def test_fine():\n    pass")
    assert pytester.runpytest(flag).ret == 0

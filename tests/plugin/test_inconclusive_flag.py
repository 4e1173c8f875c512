"""--llmsafety-inconclusive=fail|skip|pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

GIVEN = ("--model=phantom", "--compress=int4")
HIDDEN = """
from judge import judge

def test_both(measure):
    judge(measure("first"), "INCONCLUSIVE")
    judge(measure("second"), "FAIL")
"""


def test_skip_skips(outcomes: Callable[..., pytest.Pytester]) -> None:
    """An undecided test counts as skipped, with the measurement as its reason."""
    project = outcomes("PASS", "INCONCLUSIVE")
    result = project.runpytest(*GIVEN, "-rs", "--llmsafety-inconclusive=skip", project.path)
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED *INCONCLUSIVE: inconclusive"])
    assert result.ret == 0


def test_pass_passes(outcomes: Callable[..., pytest.Pytester]) -> None:
    """An undecided test counts as passed, and the table still calls it INCONCLUSIVE."""
    project = outcomes("INCONCLUSIVE")
    result = project.runpytest(*GIVEN, "--llmsafety-inconclusive=pass", project.path)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["inconclusive * INCONCLUSIVE"])
    assert result.ret == 0


def test_the_report_says_so(outcomes: Callable[..., pytest.Pytester]) -> None:
    """A run that lets an undecided test pass says so."""
    project = outcomes("INCONCLUSIVE")
    result = project.runpytest(*GIVEN, "--llmsafety-inconclusive=pass", project.path)
    result.stdout.fnmatch_lines(["--llmsafety-inconclusive=pass: an undecided test does not fail*"])


def test_pass_does_not_hide_a_later_failure(project: pytest.Pytester) -> None:
    """Assertions after an undecided one are still judged."""
    project.makepyfile(HIDDEN)
    result = project.runpytest(*GIVEN, "--llmsafety-inconclusive=pass", project.path)
    result.assert_outcomes(failed=1)
    assert result.ret == 1


def test_skip_does_not_hide_a_later_failure(project: pytest.Pytester) -> None:
    """The same under skip."""
    project.makepyfile(HIDDEN)
    result = project.runpytest(*GIVEN, "--llmsafety-inconclusive=skip", project.path)
    result.assert_outcomes(failed=1)

"""--llmsafety-family=session: a FAIL has to hold among all assertions of a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

GIVEN = ("--model=phantom", "--compress=int4", "--llmsafety-family=session")


def test_one_of_many_is_undecided(outcomes: Callable[..., pytest.Pytester]) -> None:
    """A FAIL with p = .03 among three assertions does not survive Holm, and the message says so."""
    project = outcomes("PASS", "FAIL", "INCONCLUSIVE")
    result = project.runpytest(*GIVEN, "--llmsafety-report=out", project.path)
    assert result.ret == 6
    result.stdout.fnmatch_lines(["*not among the 3 assertions of this session (Holm)*"])
    result.stdout.fnmatch_lines(["*1 passed, 2 inconclusive*"])
    result.stdout.no_fnmatch_line("FAILED *")
    report = json.loads(project.path.joinpath("out", "report.json").read_text("utf-8"))
    assert report["exit_status"] == 6
    assert [test["outcome"] for test in report["tests"]] == [
        "inconclusive", "inconclusive", "passed",
    ]  # fmt: skip


def test_one_alone_stays_a_fail(outcomes: Callable[..., pytest.Pytester]) -> None:
    """With a single assertion there is nothing to correct."""
    project = outcomes("FAIL")
    result = project.runpytest(*GIVEN, project.path)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["FAILED *test_fail*"])


def test_the_default_corrects_nothing(outcomes: Callable[..., pytest.Pytester]) -> None:
    """Each assertion is a claim of its own unless the session is made the family."""
    project = outcomes("PASS", "FAIL", "INCONCLUSIVE")
    assert project.runpytest(*GIVEN[:2], project.path).ret == 1


@pytest.mark.parametrize(("policy", "words"), [("pass", "2 passed"), ("skip", "1 skipped")])
def test_the_policy_for_undecided_tests_applies(
    outcomes: Callable[..., pytest.Pytester], policy: str, words: str
) -> None:
    """A FAIL that Holm does not keep may pass like any other undecided test."""
    project = outcomes("PASS", "FAIL")
    result = project.runpytest(*GIVEN, f"--llmsafety-inconclusive={policy}", project.path)
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"*{words}*"])


def test_workers_of_xdist_change_nothing(outcomes: Callable[..., pytest.Pytester]) -> None:
    """The controller corrects over the assertions of all workers."""
    project = outcomes("PASS", "FAIL", "INCONCLUSIVE")
    result = project.runpytest(*GIVEN, "-n2", project.path)
    assert result.ret == 6
    result.stdout.fnmatch_lines(["*2 inconclusive*"])


def test_an_ordinary_failure_stays_one(project: pytest.Pytester) -> None:
    """A test that fails for another reason than a verdict is not turned."""
    project.makepyfile("""
        from judge import judge
        def test_soft(measure):
            judge(measure("x"), "FAIL")
            assert 1 == 2
        def test_other(measure):
            judge(measure("x"), "PASS")
    """)
    result = project.runpytest(*GIVEN, "--llmsafety-inconclusive=pass", project.path)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*assert 1 == 2*", "*1 failed, 1 passed*"])


def test_assertions_after_a_fail_are_judged(project: pytest.Pytester) -> None:
    """The number of assertions must not depend on what the first ones found."""
    project.makepyfile("""
        from judge import judge
        def test_both(measure):
            judge(measure("first"), "FAIL")
            judge(measure("second"), "INCONCLUSIVE")
    """)
    result = project.runpytest(*GIVEN, project.path)
    assert result.ret == 6
    result.stdout.fnmatch_lines(["*not among the 2 assertions*"])


def test_ending_early_is_refused(outcomes: Callable[..., pytest.Pytester]) -> None:
    """-x would make the family as small as the first failure leaves it."""
    project = outcomes("PASS")
    result = project.runpytest(*GIVEN, "-x", project.path)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*needs every assertion of the session*"])

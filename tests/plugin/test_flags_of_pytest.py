"""Flags and marks of pytest itself do with safety tests what they always do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

GIVEN = ("--model=phantom", "--compress=int4")


def test_x_stops_at_a_failure(outcomes: Callable[..., pytest.Pytester]) -> None:
    """-x leaves out what follows a FAIL."""
    project = outcomes("FAIL", "PASS")
    project.runpytest(*GIVEN, "-x", project.path).assert_outcomes(failed=1)


def test_x_stops_at_an_inconclusive(outcomes: Callable[..., pytest.Pytester]) -> None:
    """-x leaves out what follows an INCONCLUSIVE, and the exit status is still 6."""
    project = outcomes("INCONCLUSIVE", "PASS")
    result = project.runpytest(*GIVEN, "-x", project.path)
    result.stdout.fnmatch_lines(["*stopping after 1 failures*", "*= 1 inconclusive in *"])
    assert result.ret == 6


def test_maxfail_counts_both(outcomes: Callable[..., pytest.Pytester]) -> None:
    """FAIL and INCONCLUSIVE count towards --maxfail."""
    project = outcomes("FAIL", "INCONCLUSIVE", "PASS")
    result = project.runpytest(*GIVEN, "--maxfail=2", project.path)
    result.stdout.fnmatch_lines(["*1 failed, 1 inconclusive*"])


def test_lf_runs_both_again(outcomes: Callable[..., pytest.Pytester]) -> None:
    """--lf selects what failed and what was undecided."""
    project = outcomes("PASS", "FAIL", "INCONCLUSIVE")
    project.runpytest(*GIVEN, project.path)
    result = project.runpytest(*GIVEN, "--lf", "-v", project.path)
    result.stdout.fnmatch_lines(["*test_fail?int4? FAILED*", "*test_inconclusive?int4? INC*"])
    result.stdout.no_fnmatch_line("*test_pass*")


@pytest.mark.parametrize("given", [GIVEN, ()])
def test_m_chooses_the_safety_tests(
    outcomes: Callable[..., pytest.Pytester], given: tuple[str, ...]
) -> None:
    """-m llmsafety takes them, with a marker of their own or without; -m 'not ...' the others."""
    project = outcomes("PASS")
    project.makepyfile(test_other="def test_other():\n    pass")
    ours = "passed" if given else "skipped"
    result = project.runpytest(*given, "-m", "llmsafety", project.path)
    result.assert_outcomes(**{ours: 1}, deselected=1)
    result = project.runpytest(*given, "-m", "not llmsafety", project.path)
    result.assert_outcomes(passed=1, deselected=1)


def test_xfail_expects_a_failure(project: pytest.Pytester) -> None:
    """A known regression can be marked by the error that it raises, and is then no failure."""
    project.makepyfile(
        """
        import pytest
        from judge import judge

        from pytest_llmsafety.errors import SafetyFailure

        @pytest.mark.xfail(raises=SafetyFailure, reason="known", strict=True)
        def test_known(measure):
            judge(measure("x"), "FAIL")
        """
    )
    result = project.runpytest(*GIVEN, project.path)
    result.assert_outcomes(xfailed=1)
    assert result.ret == 0


def test_xfail_may_expect_a_failure_only(project: pytest.Pytester) -> None:
    """With raises=SafetyFailure an INCONCLUSIVE is not what was expected."""
    project.makepyfile(
        """
        import pytest
        from judge import judge
        from pytest_llmsafety.errors import SafetyFailure

        @pytest.mark.xfail(raises=SafetyFailure)
        def test_known(measure):
            judge(measure("x"), "INCONCLUSIVE")
        """
    )
    result = project.runpytest(*GIVEN, project.path)
    result.stdout.fnmatch_lines(["*1 inconclusive*"])
    assert result.ret == 6


def test_k_selects_a_compression(outcomes: Callable[..., pytest.Pytester]) -> None:
    """The compression is part of the id, so -k finds it."""
    project = outcomes("PASS")
    result = project.runpytest("--model=phantom", "--compress=int8,int4", "-k", "int8", ".")
    result.assert_outcomes(passed=1, deselected=1)


def test_q_still_shows_the_verdicts(outcomes: Callable[..., pytest.Pytester]) -> None:
    """-q shortens pytest's words, not the evidence."""
    project = outcomes("FAIL")
    result = project.runpytest(*GIVEN, "-q", project.path)
    result.stdout.fnmatch_lines(["fail * FAIL", "1 failed in *"])


def test_tb_no_leaves_the_table(outcomes: Callable[..., pytest.Pytester]) -> None:
    """--tb=no hides the long messages, not the table."""
    project = outcomes("INCONCLUSIVE")
    result = project.runpytest(*GIVEN, "--tb=no", project.path)
    result.stdout.no_fnmatch_line("*= INCONCLUSIVE =*")
    result.stdout.fnmatch_lines(["inconclusive * INCONCLUSIVE"])


def test_parametrize_multiplies(project: pytest.Pytester) -> None:
    """The user's own parameters and the compressions go together."""
    project.makepyfile(
        """
        import pytest
        from judge import judge

        @pytest.mark.parametrize("age", ["old", "young"])
        def test_age(measure, age):
            judge(measure(age), "PASS")
        """
    )
    result = project.runpytest("--model=phantom", "--compress=int8,int4", project.path)
    result.assert_outcomes(passed=4)


def test_a_skip_mark_asks_nothing(project: pytest.Pytester, notes: Callable[[], list[str]]) -> None:
    """A safety test that is marked to be skipped measures nothing, and is named with its reason."""
    project.makepyfile(
        """
        import pytest
        from judge import judge

        @pytest.mark.skip(reason="later")
        def test_later(measure):
            judge(measure("x"), "PASS")
        """
    )
    result = project.runpytest(*GIVEN, project.path)
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["no verdict (skipped): *::test_later?int4?:", "*Skipped: later"])
    assert [line for line in notes() if line.startswith("measure")] == []


def test_an_unexpected_pass_fails_under_strict(project: pytest.Pytester) -> None:
    """A known regression that is gone fails the test that strictly expected it."""
    project.makepyfile(
        """
        import pytest
        from judge import judge

        @pytest.mark.xfail(strict=True)
        def test_gone(measure):
            judge(measure("x"), "PASS")
        """
    )
    result = project.runpytest(*GIVEN, project.path)
    result.assert_outcomes(failed=1)
    assert result.ret == 1


@pytest.mark.parametrize("flag", ["--collect-only", "--setup-plan", "--markers", "--fixtures"])
def test_looking_around_opens_no_model(
    outcomes: Callable[..., pytest.Pytester], notes: Callable[[], list[str]], flag: str
) -> None:
    """What only lists tests or fixtures asks no model and writes no report."""
    project = outcomes("PASS")
    result = project.runpytest(*GIVEN, flag, "--llmsafety-report=out", project.path)
    assert result.ret == 0
    assert notes() == []
    assert not project.path.joinpath("out").exists()
    result.stdout.no_fnmatch_line("*safety verdicts*")


def test_narrow_terminals_are_kept_to(
    outcomes: Callable[..., pytest.Pytester], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under COLUMNS=60 no line of the summary is longer, and every figure is there."""
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("CI", raising=False)  # there pytest cuts no line, nor do we
    result = outcomes("INCONCLUSIVE").runpytest(*GIVEN, "--tb=no", "test_outcomes.py")
    result.stdout.fnmatch_lines(
        ["inconclusive  INCONCLUSIVE", "  *0.1 *0.11 *+0.010 *+0.000..+0.020 *+0.010 *200/200"]
    )
    start = result.outlines.index("phantom under int4")
    assert max(map(len, result.outlines[start:])) <= 60


def test_without_colour_there_is_none(outcomes: Callable[..., pytest.Pytester]) -> None:
    """--color=no and the log of a CI hold no control characters."""
    result = outcomes("FAIL", "INCONCLUSIVE").runpytest(*GIVEN, "--color=no", "test_outcomes.py")
    assert "\x1b" not in result.stdout.str() + result.stderr.str()


def test_there_is_a_report_without_a_terminal(outcomes: Callable[..., pytest.Pytester]) -> None:
    """-p no:terminal leaves the exit status and the report."""
    project = outcomes("PASS", "INCONCLUSIVE")
    flags = ("-p", "no:terminal", "--llmsafety-report=out")
    result = project.runpytest_subprocess(*GIVEN, *flags, "test_outcomes.py")
    assert result.ret == 6
    assert project.path.joinpath("out", "report.json").exists()

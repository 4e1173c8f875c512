"""PASS, FAIL and INCONCLUSIVE as pytest shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

GIVEN = ("--model=phantom", "--compress=int4", "test_outcomes.py")


def test_a_pass_passes(outcomes: Callable[..., pytest.Pytester]) -> None:
    """PASS passes the test, and the run exits with 0."""
    result = outcomes("PASS").runpytest(*GIVEN)
    result.assert_outcomes(passed=1)
    assert result.ret == 0


def test_a_fail_fails(outcomes: Callable[..., pytest.Pytester]) -> None:
    """FAIL fails the test, and the run exits with 1."""
    result = outcomes("PASS", "FAIL").runpytest(*GIVEN)
    result.assert_outcomes(passed=1, failed=1)
    assert result.ret == 1


def test_a_failure_shows_its_message_and_no_traceback(
    outcomes: Callable[..., pytest.Pytester],
) -> None:
    """The failure of a gate is the evidence, not the line of code that raised it."""
    result = outcomes("FAIL").runpytest(*GIVEN)
    result.stdout.fnmatch_lines(["fail rose under int4: *", "margin*FAIL*", "reproduce: pytest *"])
    result.stdout.no_fnmatch_line("*SafetyFailure*")
    result.stdout.no_fnmatch_line("*def test_fail*")


def test_inconclusive_is_a_category_of_its_own(outcomes: Callable[..., pytest.Pytester]) -> None:
    """INCONCLUSIVE has its letter, its section and its count, and the run exits with 6."""
    result = outcomes("PASS", "INCONCLUSIVE").runpytest(*GIVEN)
    result.stdout.fnmatch_lines(
        ["test_outcomes.py .I *", "*= INCONCLUSIVE =*", "*1 passed, 1 inconclusive*"]
    )
    assert result.ret == 6


def test_inconclusive_is_a_word_under_v(outcomes: Callable[..., pytest.Pytester]) -> None:
    """With -v the test's line ends in the whole word."""
    result = outcomes("INCONCLUSIVE").runpytest(*GIVEN, "-v")
    result.stdout.fnmatch_lines(["*test_inconclusive?int4? INCONCLUSIVE*"])


def test_a_failure_outweighs_an_inconclusive(outcomes: Callable[..., pytest.Pytester]) -> None:
    """The run exits with 1 as soon as anything failed."""
    result = outcomes("INCONCLUSIVE", "FAIL").runpytest(*GIVEN)
    assert result.ret == 1


def test_undecided_tests_are_named_on_one_line(
    outcomes: Callable[..., pytest.Pytester],
) -> None:
    """As failures are in pytest's short summary, unless -rN is given; without tracebacks, too."""
    project = outcomes("INCONCLUSIVE")
    named = "INCONCLUSIVE test_outcomes.py::test_inconclusive?int4? - inconclusive rose un*"
    for more in ((), ("--tb=no",), ("-ra",)):
        project.runpytest(*GIVEN, *more).stdout.fnmatch_lines([named])
    project.runpytest(*GIVEN, "-rN").stdout.no_fnmatch_line(named)


def test_undecided_subtests_do_not_make_a_failure(project: pytest.Pytester) -> None:
    """Subtests that are undecided end the run with 6, one that failed with 1."""
    lines = ["from judge import judge", "def test_all(measure, subtests):"]
    for outcome in ("INCONCLUSIVE", "PASS", "INCONCLUSIVE"):
        lines += ["    with subtests.test():", f"        judge(measure('x'), '{outcome}')"]
    project.makepyfile(test_outcomes="\n".join(lines))
    assert project.runpytest(*GIVEN).ret == 6
    lines += ["    with subtests.test():", "        judge(measure('x'), 'FAIL')"]
    project.makepyfile(test_outcomes="\n".join(lines))
    assert project.runpytest(*GIVEN).ret == 1


def test_a_broken_ordinary_test_outweighs_an_inconclusive(
    outcomes: Callable[..., pytest.Pytester],
) -> None:
    """An error in the teardown of another test makes the exit status 1, not 6."""
    project = outcomes("INCONCLUSIVE")
    project.makepyfile(
        test_other="""
        import pytest

        @pytest.fixture
        def fragile():
            yield
            raise RuntimeError("torn")

        def test_fine(fragile):
            pass
        """
    )
    assert project.runpytest(*GIVEN, "test_other.py").ret == 1


def test_one_of_our_errors_is_a_failure_without_traceback(project: pytest.Pytester) -> None:
    """A ScorerError inside a safety test is shown by its name and its message alone."""
    project.makepyfile(
        """
        from pytest_llmsafety.errors import ScorerError

        def test_broken(measure):
            raise ScorerError("detoxify is absent. Run this.")
        """
    )
    result = project.runpytest(*GIVEN[:2], project.path)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["ScorerError: detoxify is absent. Run this."])
    result.stdout.no_fnmatch_line("*raise ScorerError*")


def test_any_other_error_keeps_its_traceback(project: pytest.Pytester) -> None:
    """A mistake in the user's own test is shown as pytest shows it."""
    project.makepyfile("def test_mistake(measure):\n    assert measure('x').name == 'y'")
    result = project.runpytest(*GIVEN[:2], project.path)
    result.stdout.fnmatch_lines([">*assert measure('x').name == 'y'"])


def test_the_table_shows_every_verdict(outcomes: Callable[..., pytest.Pytester]) -> None:
    """Passed measurements are in the table, too."""
    result = outcomes("PASS", "FAIL").runpytest(*GIVEN)
    result.stdout.fnmatch_lines(
        ["*safety verdicts*", "phantom under int4", "pass * PASS", "fail * FAIL"]
    )


def test_a_safety_test_without_an_assertion_is_named(project: pytest.Pytester) -> None:
    """A test that measures and asserts nothing cannot hide behind its green letter."""
    project.makepyfile(test_none="def test_nothing(measure):\n    measure('x')")
    result = project.runpytest(*GIVEN[:2], project.path)
    assert result.ret == 6
    result.stdout.fnmatch_lines(["the test makes the measurement x and judges nothing.*"])

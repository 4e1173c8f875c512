"""A measurement that cannot run says why and counts as not decided."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import transformers.models.llama.modeling_llama  # noqa: F401
from optimum import quanto  # noqa: F401

import pytest_llmsafety.session.resources  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Callable

GIVEN = ("--model=phantom", "--compress=int4")
MISSING = """
    from pytest_llmsafety import assert_qa_drop

    def test_facts(measure):
        assert_qa_drop(measure("qa", dataset="nq_open"), margin=0.05)
"""


@pytest.fixture
def missing(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Run a gate on the real resources whose data set's files are in no folder."""
    pytester.makepyfile(test_missing=MISSING)
    pytester.mkdir("data")

    def run(*more: str) -> pytest.RunResult:
        return pytester.runpytest_inprocess(
            *GIVEN, "--llmsafety-data=data", "--llmsafety-cache=off", "test_missing.py", *more
        )

    return run


def test_missing_items_are_inconclusive(missing: Callable[..., pytest.RunResult]) -> None:
    """Without its files a gate is INCONCLUSIVE in the loader's words, and the run exits with 6."""
    result = missing()
    assert result.ret == 6
    result.stdout.fnmatch_lines(
        [
            "test_missing.py I *",
            "qa under int4: not decided (n=0/0 pairs)",
            "INCONCLUSIVE, nothing was measured. This is not a pass.",
            "why: no such file under *NQ-open*",
            "reproduce: pytest *test_missing.py::test_facts*",
            "*safety verdicts*",
            "qa  * - *INCONCLUSIVE",
        ]
    )


def test_the_report_holds_the_reason(
    missing: Callable[..., pytest.RunResult], pytester: pytest.Pytester
) -> None:
    """The verdict has no decision and no figure, and its reason; NaN is null."""
    missing("--llmsafety-report=out", "-n1")
    report = json.loads((pytester.path / "out" / "report.json").read_text("utf-8"))
    (verdict,) = report["tests"][0]["verdicts"]
    assert (verdict["outcome"], verdict["decision"], verdict["margin"], verdict["dense"]) == (
        "INCONCLUSIVE", None, None, None,
    )  # fmt: skip
    assert verdict["dataset"] == "nq_open"
    assert "no such file" in verdict["reasons"][0]


@pytest.mark.parametrize("policy", ["skip", "pass"])
def test_no_policy_forgives_that_nothing_was_measured(
    missing: Callable[..., pytest.RunResult], policy: str
) -> None:
    """--llmsafety-inconclusive is for measurements that ran; this one did not."""
    result = missing(f"--llmsafety-inconclusive={policy}")
    assert result.ret == 6
    result.stdout.fnmatch_lines(["qa *INCONCLUSIVE", "*does not fail this run, unless*"])


@pytest.mark.parametrize("flag", ["--llmsafety-plan", "--llmsafety-family=session"])
def test_other_ways_to_run_do_not_hide_it(
    missing: Callable[..., pytest.RunResult], flag: str
) -> None:
    """A plan and a session's family end in INCONCLUSIVE, too."""
    result = missing(flag)
    assert result.ret == 6
    result.stdout.fnmatch_lines(["*no such file under*"])


def test_a_missing_scorer_is_inconclusive(pytester: pytest.Pytester) -> None:
    """A classifier that is not where the user says leaves toxicity undecided."""
    pytester.makepyfile("""
        from pytest_llmsafety import assert_toxicity_delta

        def test_words(measure):
            assert_toxicity_delta(measure("toxicity"), margin=0.02)
    """)
    scorer = "--llmsafety-scorer=classifier:no-such-folder#toxic"
    result = pytester.runpytest_inprocess(*GIVEN, "--llmsafety-cache=off", scorer, pytester.path)
    assert result.ret == 6
    result.stdout.fnmatch_lines(["toxicity under int4: not decided*", "why: cannot read *"])


def test_the_built_in_model_skips_what_it_has_no_counterpart_for(
    pytester: pytest.Pytester,
) -> None:
    """No gap of the user's: the gate is skipped, and the last lines say why."""
    pytester.makepyfile(test_manners='def test_manners(measure):\n    measure("refusal")')
    result = pytester.runpytest_inprocess(*GIVEN, "--llmsafety-cache=off", "test_manners.py")
    result.assert_outcomes(skipped=1)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["no verdict (skipped): test_manners.py::*", "*cannot be measured on the built-in model*"]
    )


def test_an_error_in_the_test_itself_is_still_a_failure(project: pytest.Pytester) -> None:
    """Only what `measure` lacks is undecided; a data set's error elsewhere fails."""
    project.makepyfile(
        """
        from pytest_llmsafety.errors import DatasetError

        def test_broken(measure):
            raise DatasetError("two items share an id.")
        """
    )
    result = project.runpytest(*GIVEN, project.path)
    result.assert_outcomes(failed=1)


def test_shots_of_a_set_without_examples_say_which_sets_have_some(
    pytester: pytest.Pytester,
) -> None:
    """The built-in model's questions have none, so the test fails by the user's mistake."""
    pytester.makepyfile(test_shots='def test_facts(measure):\n    measure("qa", shots=2)')
    result = pytester.runpytest_inprocess(*GIVEN, "--llmsafety-cache=off", "test_shots.py")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*shots: phantom-qa has no solved examples. Data sets with some: arc, *"]
    )

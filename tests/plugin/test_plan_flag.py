"""--llmsafety-plan: what the assertions can find out, before any model is loaded."""

from __future__ import annotations

import json

import pytest

from pytest_llmsafety.plugin.collection import SUITES

GIVEN = (str(SUITES), "--model=phantom", "--compress=int8", "--llmsafety-plan")


@pytest.fixture
def no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading a model is an error."""

    def load(*_: object, **__: object) -> None:
        pytest.fail("a model was loaded")

    monkeypatch.setattr("pytest_llmsafety.inference.backends.hf.load_model", load)
    monkeypatch.setattr("pytest_llmsafety.metrics.scorers.load_scorer", load)


@pytest.mark.usefixtures("no_models")
def test_every_assertion_is_planned(pytester: pytest.Pytester) -> None:
    """A row for each assertion with its units, margin and what it finds; nothing is asked."""
    result = pytester.runpytest(*GIVEN)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["*safety plan*", "assertion*found 80%*", "bbq s_AMB*40 clusters*", "perplexity*x1.100*",
         "toxicity *960 items*+0.020*", "assumed for*"]
    )  # fmt: skip


@pytest.mark.usefixtures("no_models")
def test_right_options_of_bbq_are_planned_as_right_options(pytester: pytest.Pytester) -> None:
    """The metric says what is scored, not the data set."""
    pytester.makepyfile("""
        from pytest_llmsafety import assert_qa_drop

        def test_right(measure):
            assert_qa_drop(measure("mmlu", dataset="phantom-bbq"), margin=0.1)
    """)
    result = pytester.runpytest("--model=phantom", "--compress=int8", "--llmsafety-plan")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["mmlu *40 clusters*"])


@pytest.mark.usefixtures("no_models")
def test_what_can_never_pass_is_refused(pytester: pytest.Pytester) -> None:
    """With 100 prompts identical outputs would not pass, so the run exits with 6 and says so."""
    result = pytester.runpytest(*GIVEN, "--llmsafety-limit=100")
    assert result.ret == 6
    result.stdout.fnmatch_lines(
        [
            "toxicity*CANNOT PASS",
            "*cannot pass with 100 items even with identical outputs*",
        ]
    )


@pytest.mark.usefixtures("no_models")
def test_the_suite_scope_needs_no_power(pytester: pytest.Pytester) -> None:
    """Where these prompts are all there are, few of them decide; of sampled text they are not."""
    result = pytester.runpytest(*GIVEN, "--llmsafety-limit=100", "--llmsafety-scope=suite")
    assert result.ret == 6
    result.stdout.fnmatch_lines(
        ["*nothing, as these items are*", "toxicity can never pass*", "*20 skipped, 2 inconcl*"]
    )


@pytest.mark.usefixtures("no_models")
def test_plans_reach_the_controller_of_xdist(pytester: pytest.Pytester) -> None:
    """The table is the same with workers."""
    result = pytester.runpytest(*GIVEN, "-n2")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*safety plan*", "qa*clusters*"])


@pytest.mark.usefixtures("no_models")
def test_own_tests_are_planned_as_far_as_they_assert(pytester: pytest.Pytester) -> None:
    """Code that reads figures of the verdict, or scores, does not break the plan."""
    pytester.makepyfile("""
        from pytest_llmsafety import (assert_qa_drop, assert_toxicity_delta)
        def test_both(measure):
            verdict = assert_toxicity_delta(measure("toxicity"), margin=0.05)
            assert_toxicity_delta(measure("toxicity"), margin=0.06, per_group=True)
            assert verdict.figures[0].compressed < 0.5
        def test_own(measure):
            assert measure("qa").all().pairs
        def test_ratio(measure):
            assert_toxicity_delta(measure("toxicity"), margin=0.5, per_group="ratio")
    """)
    result = pytester.runpytest("--model=phantom", "--compress=int8", "--llmsafety-plan",
                                "test_own_tests_are_planned_as_far_as_they_assert.py",
                                "--llmsafety-report=out")  # fmt: skip
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["toxicity *+0.050*", "toxicity by group*+0.060*", "toxicity ratio*"]
    )
    report = json.loads((pytester.path / "out" / "report.json").read_text("utf-8"))
    assert [plan["name"] for plan in report["plans"]] == [
        "toxicity", "toxicity by group", "toxicity ratio",
    ]  # fmt: skip

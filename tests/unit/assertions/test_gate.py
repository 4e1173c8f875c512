"""The one-line gates: what they return, raise and tell observers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_llmsafety import assert_bias_gap, assert_qa_drop, assert_toxicity_delta
from pytest_llmsafety.assertions.gate import observe
from pytest_llmsafety.assertions.message import message, shown
from pytest_llmsafety.compressors.record.coverage import BODY
from pytest_llmsafety.errors import ConfigurationError, SafetyFailure, SafetyInconclusive
from pytest_llmsafety.types import BBQItem
from tests.stand_ins.measurements import RECORD, measurement
from tests.unit.reports.hostile import hostile_run

SAME = [0.1] * 200


def test_pass_returns_the_verdict():
    """An assertion that holds returns its evidence."""
    assert assert_toxicity_delta(measurement(SAME, SAME), margin=0.02).passed


def test_failure_and_doubt_are_different_errors():
    """FAIL raises SafetyFailure, INCONCLUSIVE raises SafetyInconclusive; both AssertionErrors."""
    with pytest.raises(SafetyFailure, match="FAIL"):
        assert_toxicity_delta(measurement(SAME, [0.9] * 200), margin=0.02)
    with pytest.raises(SafetyInconclusive, match="This is not a pass"):
        assert_toxicity_delta(measurement(SAME[:20], SAME[:20]), margin=0.02)
    assert issubclass(SafetyFailure, AssertionError)


@pytest.mark.parametrize("compressed", [0.1, 0.9])
def test_no_outcome_about_a_model_that_is_still_dense(compressed):
    """Below the least share of changed parameters neither PASS nor FAIL is said, and why is."""
    kept = ("model.layers.*.mlp.experts.down_proj", 8, 0.6, BODY, "its values did not change")
    record = replace(RECORD, changed_share=0.2, changed_body_share=0.25, kept=(kept,))
    measured = replace(measurement(SAME, [compressed] * 200), record=record)
    with pytest.raises(SafetyInconclusive, match=r"25% of the parameters .*experts\.down_proj"):
        assert_toxicity_delta(measured, margin=0.02)
    settings = replace(measured.settings, min_changed=0.25)
    measured = replace(measured, settings=settings)
    outcome = "PASS" if compressed == SAME[0] else "FAIL"
    with observe(lambda _: None, tolerate=frozenset({"FAIL"})):
        assert assert_toxicity_delta(measured, margin=0.02).outcome.value == outcome


def test_observers_hear_every_verdict():
    """Inside observe() each verdict is reported, those that raise too, and none afterwards."""
    verdicts = []
    with observe(verdicts.append):
        assert_toxicity_delta(measurement(SAME, SAME), margin=0.02)
        with pytest.raises(SafetyFailure):
            assert_qa_drop(measurement([0.9] * 200, SAME, higher_is_better=True), margin=0.02)
    assert_toxicity_delta(measurement(SAME, SAME), margin=0.02)
    assert [verdict.outcome.value for verdict in verdicts] == ["PASS", "FAIL"]


def test_tolerated_doubt_does_not_hide_a_later_failure():
    """With INCONCLUSIVE tolerated the test goes on to the assertion that fails."""
    with observe(lambda _: None, tolerate=frozenset({"INCONCLUSIVE"})):
        verdict = assert_toxicity_delta(measurement(SAME[:9], SAME[:9]), margin=0.02)
        assert verdict.outcome.value == "INCONCLUSIVE"
        with pytest.raises(SafetyFailure):
            assert_toxicity_delta(measurement(SAME, [0.9] * 200), margin=0.02)


def test_message_keeps_its_order():
    """Estimate, interval, n, margin, outcome, worst items, then the command."""
    with pytest.raises(SafetyFailure) as caught:
        assert_toxicity_delta(measurement(SAME, [0.9] * 200), margin=0.02)
    text = str(caught.value)
    parts = [
        "0.1 -> 0.9", "delta +0.8000", "90% CI", "n=200/200 pairs", "worse by 0.02", "FAIL",
        "worst: item-0 +0.80", "dense:      answer 0.1", "reproduce: pytest the-test",
    ]  # fmt: skip
    assert [text.index(part) for part in parts] == sorted(text.index(part) for part in parts)


def test_doubt_says_how_much_would_decide():
    """An INCONCLUSIVE message gives the number of items for 80 and 90% power."""
    compressed = [0.1] * 190 + [0.9] * 6 + [0.0] * 4
    words = r"80% \(90%\) power: about [\d,]+ \([\d,]+\) items"
    with pytest.raises(SafetyInconclusive, match=words):
        assert_toxicity_delta(measurement(SAME, compressed), margin=0.02)


def test_hostile_text_stays_text():
    """Control characters of a model's answer are shown escaped, and long answers are cut."""
    assert shown("\x1b[31mred\n") == "\\x1b[31mred\\n"
    assert len(shown("word " * 1000)) <= 160


@pytest.mark.parametrize("verdict", hostile_run().verdicts)
def test_no_field_of_a_verdict_commands_the_terminal(verdict):
    """Names, groups, notes and the command are shown escaped, too, on lines of our own."""
    text = message(verdict)
    assert all(line.isprintable() for line in text.split("\n"))


def test_unknown_context_is_refused():
    """A misspelt context measures nothing instead of something else."""
    questions = [BBQItem(f"item-{i}", "p") for i in range(200)]
    measured = measurement(SAME, SAME, items=questions, measures="biased answers")
    with pytest.raises(ConfigurationError, match="unknown context 'amb'"):
        assert_bias_gap(measured, margin=0.1, context="amb")

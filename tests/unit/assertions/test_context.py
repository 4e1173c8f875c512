"""assert_context_drop and choices at chance: verdicts, notes and validity checks."""

from __future__ import annotations

import dataclasses

import pytest

from pytest_llmsafety import assert_context_drop, assert_qa_drop
from pytest_llmsafety.errors import ConfigurationError, SafetyFailure, SafetyInconclusive
from pytest_llmsafety.measurements.measurement import Figure
from pytest_llmsafety.metrics.in_context import InContext
from pytest_llmsafety.types import ChoiceItem, Generate, Generation, PassageItem
from tests.stand_ins.measurements import measurement

ITEM = PassageItem("p", "Context: x\nQuestion: q", answers=("Ann",), closed_book="Question: q")


def asked(compressed, *, closed=0.1, cut=0, count=400):
    """Half of 400 passages read right by the dense model; this many right by the compressed."""
    items = [PassageItem(f"p{i}", "Context:", answers=("a",)) for i in range(count)]
    dense = [1.0] * (count // 2) + [0.0] * (count // 2)
    other = [1.0] * compressed + [0.0] * (count - compressed)
    made = measurement(dense, other, items=items, name="in_context", higher_is_better=True)
    pairs = [
        dataclasses.replace(pair, dense=dataclasses.replace(pair.dense, parts=(("cut", 5.0),)))
        if i < cut
        else pair
        for i, pair in enumerate(made.pairs)
    ]
    figures = (Figure("closed-book exact match", closed, closed / 2),)
    return dataclasses.replace(made, pairs=tuple(pairs), figures=figures)


def test_both_prompts_are_asked_and_the_passage_is_scored():
    """The value is the answer with the passage; the one without is a part; empty is wrong."""
    with_passage, closed = InContext().requests(ITEM)
    assert isinstance(with_passage, Generate)
    assert (with_passage.context, closed.context) == (ITEM.prompt, ITEM.closed_book)
    answers = (Generation((" Ann\nso",), tokens_cut=3), Generation((" Bo",)))
    scores = InContext().scores([ITEM], [answers])
    assert (scores[0].value, dict(scores[0].parts)) == (
        1.0, {"closed-book": 0.0, "f1": 1.0, "empty": 0.0, "cut": 3.0},
    )  # fmt: skip
    assert InContext().figures([ITEM], scores)["passages cut"] == 1.0
    (empty,) = InContext().scores([ITEM], [(Generation(("",)), Generation((" Ann",)))])
    assert (empty.value, dict(empty.parts)["closed-book"]) == (0.0, 1.0)


def test_a_missing_answer_leaves_no_value():
    """Also where only the closed-book one is missing."""
    broken = (Generation((" Ann",)), Generation((), problem="NaN or Inf logits"))
    (score,) = InContext().scores([ITEM], [broken])
    assert (score.value, score.problem) == (None, "NaN or Inf logits")


def test_closed_book_accuracy_and_cuts_are_noted():
    """The notes state accuracy without passages, and how many passages did not fit."""
    verdict = assert_context_drop(asked(200, cut=3), margin=0.05)
    assert verdict.passed
    assert "the same questions without the passage: 0.1 -> 0.05" in verdict.notes
    assert any(note.startswith("3 of 400 prompts did not fit") for note in verdict.notes)


def test_lost_reading_fails():
    """A fifth of the answers lost is shown to be more than five points."""
    with pytest.raises(SafetyFailure, match="in_context fell"):
        assert_context_drop(asked(120), margin=0.05)


def test_passages_that_do_not_help_give_no_pass():
    """A dense model that knows as much closed-book has no reading to lose."""
    with pytest.raises(SafetyInconclusive, match="say nothing about reading"):
        assert_context_drop(asked(200, closed=0.48), margin=0.05)


def test_questions_without_passages_are_refused():
    """Closed-book answers are not reading."""
    with pytest.raises(ConfigurationError, match=r'PassageItem\. Expected .*dataset=.*"xquad_en"'):
        assert_context_drop(measurement([1.0], [1.0], higher_is_better=True), margin=0.05)


def test_choices_at_chance_do_not_pass():
    """Who guesses among four options has nothing to lose; who knows half passes."""
    items = [ChoiceItem(f"c{i}", "Q:", options=("a", "b", "c", "d")) for i in range(400)]
    for right, passes in ((100, False), (200, True)):
        scores = [1.0] * right + [0.0] * (400 - right)
        made = measurement(scores, scores, items=items, name="mmlu", higher_is_better=True)
        if passes:
            assert assert_qa_drop(made, margin=0.05).passed
        else:
            with pytest.raises(SafetyInconclusive, match=r"chance level \(0\.25\)"):
                assert_qa_drop(made, margin=0.05)

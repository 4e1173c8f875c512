"""Summaries by ROUGE."""

from __future__ import annotations

import pytest

from pytest_llmsafety.metrics.rouge import Rouge, first_paragraph
from pytest_llmsafety.types import Generate, Generation, QuestionItem

ITEM = QuestionItem("x/1", "Article: ...", answers=("the cat sat on the mat",))


@pytest.fixture
def metric():
    """ROUGE of one summary an article."""
    return Rouge()


def scored(metric, *texts, cut=0):
    """Scores of one summary each."""
    answers = [(Generation((text,), (1,), (True,), tokens_cut=cut),) for text in texts]
    return metric.scores([ITEM] * len(texts), answers)


def test_one_greedy_summary_is_asked_for(metric):
    """The item names the noise, though greedy text needs none."""
    assert metric.requests(ITEM) == (Generate("Article: ...", max_new_tokens=128, key="x/1"),)


def test_words_by_hand(metric):
    """Three of four words are in the reference of six, in order: F = 2 * 3 / (4 + 6)."""
    (score,) = scored(metric, " the cat slept on\n\nArticle: the mat")
    parts = dict(score.parts)
    assert score.value == pytest.approx(0.6)
    assert score.text == "the cat slept on"
    assert parts["rouge1"] == pytest.approx(0.6)
    assert parts["rouge2"] == pytest.approx(2 * 1 / (3 + 5))
    assert parts["length ratio"] == pytest.approx(4 / 6)
    assert (parts["repeated share"], parts["empty"]) == (0.0, 0.0)


def test_order_counts_for_the_longest_sequence_alone(metric):
    """The same words backwards are all right one by one; in order are three: the, sat, the."""
    (score,) = scored(metric, "mat the on sat cat the")
    assert dict(score.parts)["rouge1"] == pytest.approx(1.0)
    assert score.value == pytest.approx(3 / 6)


def test_silence_and_loops_are_seen(metric):
    """An empty summary scores 0 and is counted; a loop has its share; both are in the figures."""
    scores = scored(metric, "\n \n", "the cat " * 10, cut=7)
    assert scores[0].value == 0.0
    figures = metric.figures([ITEM] * 2, scores)
    assert figures["empty share"] == 0.5
    assert figures["articles cut"] == 1.0
    assert figures["repeated share"] == pytest.approx((1 - 2 / 18) / 2)
    assert figures["ROUGE-L"] == pytest.approx(scores[1].value / 2)


def test_no_answer_is_no_score(metric):
    """A problem of the model is never 0."""
    (score,) = metric.scores([ITEM], [(Generation((), problem="NaN or Inf logits"),)])
    assert (score.value, score.problem) == (None, "NaN or Inf logits")


def test_a_summary_ends_at_a_blank_line():
    """Empty lines before it do not count."""
    assert first_paragraph("\n\n One.\nTwo. \n\nThree.") == "One.\nTwo."

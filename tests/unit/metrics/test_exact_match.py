"""Exact match and F1 of closed-book answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmsafety.metrics.exact_match import ExactMatch, exact_match, f1, first_line, normalise
from pytest_llmsafety.types import Generate, Generation, QuestionItem
from tests.unit.metrics.answers import texts

ITEM = QuestionItem(
    "q", "Question: capital of France?\nAnswer:", answers=("Paris", "City of Light")
)


def value(text: str, item: QuestionItem = ITEM) -> float | None:
    """The score of one answer."""
    return ExactMatch().scores([item], [texts(text)])[0].value


@pytest.mark.parametrize("text", [" Paris", "the PARIS!", " city of light.", "Paris\nQuestion: x"])
def test_any_accepted_answer_on_the_first_line_is_right(text: str) -> None:
    """Case, articles, punctuation and what follows the first line do not matter."""
    assert value(text) == 1.0


@pytest.mark.parametrize("text", ["", "  ", "\nParis", "It is Paris", "Par", "Lyon"])
def test_anything_else_is_wrong(text: str) -> None:
    """An empty first line, a sentence around the answer, a part of it, another answer."""
    assert value(text) == 0.0


def test_an_empty_answer_is_wrong() -> None:
    """Mistake 5: a prediction contained in the gold counts as right, so saying nothing wins."""

    def mistaken(prediction: str, answers: tuple[str, ...]) -> bool:
        return any(normalise(prediction) in normalise(answer) for answer in answers)

    assert mistaken("", ITEM.answers)
    assert value("") == 0.0
    assert value("", QuestionItem("q", "p", answers=("The",))) == 0.0


def test_the_prompt_is_not_searched() -> None:
    """Mistake 5: an answer searched in prompt and text together is found in the question itself."""
    item = QuestionItem("q", "Question: Is Paris in France or Spain?\nAnswer:", answers=("France",))
    text = " Spain"
    assert "france" in normalise(item.prompt + text)
    assert value(text, item) == 0.0


def test_as_many_scores_as_items() -> None:
    """Mistake 5: nothing is scored twice, nothing is counted that was not scored."""
    scores = ExactMatch().scores([ITEM] * 3, [texts("Paris")] * 3)
    assert len(scores) == 3
    with pytest.raises(ValueError, match=r"shorter|longer"):
        ExactMatch().scores([ITEM] * 3, [texts("Paris")] * 2)


def test_a_missing_answer_is_never_a_number() -> None:
    """A problem leaves the item without a value."""
    (score,) = ExactMatch().scores([ITEM], [(Generation((), problem="too long"),)])
    assert (score.value, score.problem) == (None, "too long")


def test_the_request_is_greedy_and_ends_at_the_line() -> None:
    """At most 32 tokens, one line, one answer."""
    assert ExactMatch().requests(ITEM) == (Generate(ITEM.prompt, 32, stop=("\n",), key="q"),)


def test_figures_of_a_model() -> None:
    """Exact match, F1 and empty share over the scored items; None without any."""
    metric = ExactMatch()
    scores = metric.scores([ITEM] * 4, [texts(t) for t in ("Paris", "Paris it is", "", "Lyon")])
    assert metric.figures([ITEM] * 4, scores) == pytest.approx(
        {"exact match": 0.25, "f1": (1 + 0.5) / 4, "empty share": 0.25}
    )
    assert set(metric.figures([], []).values()) == {None}


@given(st.text(max_size=40), st.text(max_size=40))
def test_f1_is_symmetric_and_one_for_itself(first: str, second: str) -> None:
    """F1 does not care which side is gold; a text with words matches itself."""
    assert f1(first, [second]) == pytest.approx(f1(second, [first]))
    assert 0.0 <= f1(first, [second]) <= 1.0
    if normalise(first):
        assert f1(first, [first]) == pytest.approx(1.0)
    assert exact_match(first, [first]) == 1.0


@given(st.text(max_size=60))
def test_normalising_twice_changes_nothing_in_plain_text(text: str) -> None:
    """A normalised answer without articles is its own normal form."""
    once = normalise(text)
    assert normalise(once) == " ".join(w for w in normalise(once).split())
    assert "\n" not in first_line(text)

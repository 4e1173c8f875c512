"""Answers in free text: exact match and F1 after SQuAD's normalisation (arXiv 1606.05250)."""

from __future__ import annotations

import re
import string
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.metrics.base import ItemMetric, generation, mean_part, mean_value
from pytest_llmsafety.metrics.cut import cut_part
from pytest_llmsafety.types import Generate, QuestionItem, Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.types import Item, Response


@dataclass(frozen=True)
class ExactMatch(ItemMetric):
    """1 when the first line of new text is one of the accepted answers, else 0.

    Greedy, at most `max_new_tokens` tokens. An empty answer is always wrong. Parts:
    `f1` (token overlap with the nearest answer, 0-1), `empty`, `cut` (tokens that did not fit).
    """

    max_new_tokens: int = 32
    stop: tuple[str, ...] = ("\n",)
    name: ClassVar[str] = "exact_match"
    higher_is_better: ClassVar[bool] = True
    support: ClassVar[tuple[float, float]] = (0.0, 1.0)
    measures: ClassVar[str] = "right answers"
    takes: ClassVar[type[Item]] = QuestionItem

    def requests(self, item: QuestionItem) -> tuple[Generate, ...]:
        """Return one request: a greedy answer."""
        return (
            Generate(item.prompt, max_new_tokens=self.max_new_tokens, stop=self.stop, key=item.id),
        )

    def score(self, item: QuestionItem, responses: tuple[Response, ...]) -> Score:
        """Return the score of an item; no value when the model gave no answer."""
        answer = generation(responses)
        if answer.problem or len(answer.texts) != 1:
            problem = answer.problem or f"{len(answer.texts)} answers, not 1"
            return Score(item.id, None, problem=problem)
        text = first_line(answer.texts[0])
        empty = not text
        value = 0.0 if empty else exact_match(text, item.answers)
        overlap = 0.0 if empty else f1(text, item.answers)
        parts = (("f1", overlap), ("empty", float(empty)), *cut_part([answer]))
        return Score(item.id, value, parts=parts, text=text)

    def figures(
        self,
        items: Sequence[QuestionItem],  # noqa: ARG002 - the protocol's
        scores: Sequence[Score],
    ) -> dict[str, float | None]:
        """Return mean exact match, mean F1, and the share of empty answers."""
        scored = [score for score in scores if score.value is not None]
        return {
            "exact match": mean_value(scored),
            "f1": mean_part(scored, "f1"),
            "empty share": mean_part(scored, "empty"),
        }


def first_line(text: str) -> str:
    """Return the text before the first line break, without white space around it."""
    return text.split("\n", 1)[0].strip()


def normalise(text: str) -> str:
    """Return the text in lower case, without punctuation, articles and extra spaces (SQuAD)."""
    lowered = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", lowered).split())


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """Return 1.0 when the normalised prediction equals a normalised answer, else 0.0 (SQuAD v1.1).

    Two texts that normalise to nothing are equal, as in the official script; an empty answer of
    a model counts as wrong before.
    """
    return float(any(normalise(prediction) == normalise(answer) for answer in answers))


def f1(prediction: str, answers: Sequence[str]) -> float:
    """Return the best harmonic mean of token precision and recall over the answers (SQuAD v1.1)."""
    return max((_f1(prediction, answer) for answer in answers), default=0.0)


def _f1(prediction: str, answer: str) -> float:
    predicted, gold = normalise(prediction).split(), normalise(answer).split()
    same = sum((Counter(predicted) & Counter(gold)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(predicted), same / len(gold)
    return 2 * precision * recall / (precision + recall)

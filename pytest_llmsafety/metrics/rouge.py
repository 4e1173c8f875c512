"""Summaries compared with references that people wrote, by ROUGE (Lin 2004)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.metrics.base import ItemMetric, generation, mean_part, mean_value
from pytest_llmsafety.metrics.cut import cut_part, cut_share
from pytest_llmsafety.metrics.degeneration import DISTINCT, distinct_words, repeated_share
from pytest_llmsafety.types import Generate, QuestionItem, Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.types import Item, Response

KINDS = ("rouge1", "rouge2", "rougeL")
LENGTH = "length ratio"
REPEATED = "repeated share"


@dataclass(frozen=True)
class Rouge(ItemMetric):
    """ROUGE-L of a greedy summary: the F-measure with the best reference, by `rouge-score`.

    Words are stemmed (Porter), and a summary is one sequence of words. It is the first paragraph of
    at most `max_new_tokens` new tokens; an empty one scores 0. An article that does not fit loses
    tokens from its beginning, and the part `cut` says how many. Further parts: `rouge1`, `rouge2`
    (F), `length ratio` (words / words of the first reference), `repeated share` (of three-word
    sequences), `distinct words`, `empty`.
    """

    max_new_tokens: int = 128
    name: ClassVar[str] = "rouge"
    higher_is_better: ClassVar[bool] = True
    support: ClassVar[tuple[float, float]] = (0.0, 1.0)
    measures: ClassVar[str] = "summaries"
    takes: ClassVar[type[Item]] = QuestionItem

    def requests(self, item: QuestionItem) -> tuple[Generate, ...]:
        """Return one request: a greedy summary."""
        return (Generate(item.prompt, max_new_tokens=self.max_new_tokens, key=item.id),)

    def score(self, item: QuestionItem, responses: tuple[Response, ...]) -> Score:
        """Return the score of an article; no value when the model gave no answer."""
        answer = generation(responses)
        if answer.problem or len(answer.texts) != 1:
            problem = answer.problem or f"{len(answer.texts)} summaries, not 1"
            return Score(item.id, None, problem=problem)
        text = first_paragraph(answer.texts[0])
        words = text.split()
        one, two, longest = rouge(text, item.answers)
        parts = (
            ("rouge1", one),
            ("rouge2", two),
            (LENGTH, len(words) / len(item.answers[0].split())),
            (REPEATED, repeated_share(words, 3)),
            (DISTINCT, float(distinct_words(text))),
            ("empty", float(not words)),
            *cut_part(responses),
        )
        return Score(item.id, longest, parts=parts, text=text)

    def figures(
        self,
        items: Sequence[QuestionItem],  # noqa: ARG002 - the protocol's
        scores: Sequence[Score],
    ) -> dict[str, float | None]:
        """Return means of ROUGE, length and repetition; shares of empty summaries, cut articles."""
        scored = [score for score in scores if score.value is not None]
        return {
            "ROUGE-L": mean_value(scored),
            "ROUGE-1": mean_part(scored, "rouge1"),
            "ROUGE-2": mean_part(scored, "rouge2"),
            **{name: mean_part(scored, name) for name in (LENGTH, REPEATED, DISTINCT)},
            "empty share": mean_part(scored, "empty"),
            "articles cut": cut_share(scored),
        }


def rouge(text: str, references: Sequence[str]) -> tuple[float, ...]:
    """Return the F-measures (0-1) of `text` by KINDS, each with the best reference."""
    found = _scorer().score_multi(references, text)
    return tuple(float(found[kind].fmeasure) for kind in KINDS)


def first_paragraph(text: str) -> str:
    """Return the text before the first blank line, without white space around it."""
    return text.strip().partition("\n\n")[0].strip()


@cache
def _scorer() -> Any:  # noqa: ANN401 - the package ships no types
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(KINDS, use_stemmer=True)

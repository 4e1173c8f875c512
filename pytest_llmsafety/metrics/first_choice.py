"""The most likely next token, on fixed texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.metrics.base import ItemMetric, generation, mean_value
from pytest_llmsafety.types import Generate, QuestionItem, Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.types import Item, Response


@dataclass(frozen=True)
class FirstChoice(ItemMetric):
    """1 when the text goes on with the most likely next token, else 0; `text` is the token.

    `assert_agreement` compares the texts of two models: tokens with the same text count as equal.
    """

    name: ClassVar[str] = "first_choice"
    higher_is_better: ClassVar[bool] = True
    support: ClassVar[tuple[float, float]] = (0.0, 1.0)
    measures: ClassVar[str] = "next tokens"
    takes: ClassVar[type[Item]] = QuestionItem

    def requests(self, item: QuestionItem) -> tuple[Generate, ...]:
        """Return one request: one token, greedily."""
        return (Generate(item.prompt, max_new_tokens=1, key=item.id),)

    def score(self, item: QuestionItem, responses: tuple[Response, ...]) -> Score:
        """Return the score of a place; no value when the model generated no token."""
        answer = generation(responses)
        if answer.problem or len(answer.texts) != 1:
            problem = answer.problem or f"{len(answer.texts)} tokens, not 1"
            return Score(item.id, None, problem=problem)
        (text,) = answer.texts
        return Score(item.id, float(bool(text) and item.answers[0].startswith(text)), text=text)

    def figures(
        self,
        items: Sequence[QuestionItem],  # noqa: ARG002 - the protocol's
        scores: Sequence[Score],
    ) -> dict[str, float | None]:
        """Return the share of places at which the most likely token is the right one."""
        return {"next token right": mean_value(scores)}

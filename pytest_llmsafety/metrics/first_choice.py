"""The most likely next token, on fixed texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.metrics.base import generation, mean_value
from pytest_llmsafety.types import Generate, QuestionItem, Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.types import Item, Response


@dataclass(frozen=True)
class FirstChoice:
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

    def scores(
        self, items: Sequence[QuestionItem], responses: Sequence[tuple[Response, ...]]
    ) -> list[Score]:
        """Return one score a place; no value when the model generated no token."""
        found = []
        for item, response in zip(items, responses, strict=True):
            answer = generation(response)
            if answer.problem or len(answer.texts) != 1:
                problem = answer.problem or f"{len(answer.texts)} tokens, not 1"
                found.append(Score(item.id, None, problem=problem))
                continue
            text = answer.texts[0]
            right = bool(text) and item.answers[0].startswith(text)
            found.append(Score(item.id, float(right), text=text))
        return found

    def figures(
        self,
        items: Sequence[QuestionItem],  # noqa: ARG002 - the protocol's
        scores: Sequence[Score],
    ) -> dict[str, float | None]:
        """Return the share of places at which the most likely token is the right one."""
        return {"next token right": mean_value(scores)}

"""The next token that a model holds most likely, on fixed texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.metrics.base import generation, mean
from pytest_llmsafety.types import Generate, QuestionItem, Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.types import Item, Response


@dataclass(frozen=True)
class FirstChoice:
    """1 where the likeliest next token begins what really follows, else 0; `text` is the token.

    Agreement of two models compares their texts (`assert_agreement`): two tokens that are written
    alike count as one.
    """

    name: ClassVar[str] = "first_choice"
    higher_is_better: ClassVar[bool] = True
    support: ClassVar[tuple[float, float]] = (0.0, 1.0)
    measures: ClassVar[str] = "next tokens"
    takes: ClassVar[type[Item]] = QuestionItem

    def requests(self, item: QuestionItem) -> tuple[Generate, ...]:
        """One token, greedily."""
        return (Generate(item.prompt, max_new_tokens=1, key=item.id),)

    def scores(
        self, items: Sequence[QuestionItem], responses: Sequence[tuple[Response, ...]]
    ) -> list[Score]:
        """One score a place; no value where the model gave no token."""
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
        """The share of places where the likeliest token is the right one."""
        return {"next token right": mean([s.value for s in scores if s.value is not None])}

"""In-context retrieval: a question with its passage, and closed-book (arXiv 2310.01382)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.metrics.base import ItemMetric, generation, mean_part, mean_value, problem_of
from pytest_llmsafety.metrics.cut import cut_part, cut_share
from pytest_llmsafety.metrics.exact_match import exact_match, f1, first_line
from pytest_llmsafety.types import Generate, PassageItem, Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.types import Item, Response


@dataclass(frozen=True)
class InContext(ItemMetric):
    """1 when the answer with the passage is right, else 0, by exact match.

    Both answers are greedy and at most `max_new_tokens` long; an empty one is wrong. A passage that
    does not fit loses tokens from its beginning, and the part `cut` says how many. Further parts:
    `closed-book` (exact match without the passage), `f1`, `empty`.
    """

    max_new_tokens: int = 32
    stop: tuple[str, ...] = ("\n",)
    name: ClassVar[str] = "in_context"
    higher_is_better: ClassVar[bool] = True
    support: ClassVar[tuple[float, float]] = (0.0, 1.0)
    measures: ClassVar[str] = "reading"
    takes: ClassVar[type[Item]] = PassageItem

    def requests(self, item: PassageItem) -> tuple[Generate, ...]:
        """Return two requests: an answer with the passage, and one without."""
        return tuple(
            Generate(prompt, max_new_tokens=self.max_new_tokens, stop=self.stop, key=item.id)
            for prompt in (item.prompt, item.closed_book)
        )

    def score(self, item: PassageItem, responses: tuple[Response, ...]) -> Score:
        """Return the score of an item; no value when either answer is missing."""
        problem = problem_of(responses)
        if problem or len(responses) != 2:  # noqa: PLR2004 - with and without
            return Score(item.id, None, problem=problem or f"{len(responses)} answers, not 2")
        texts = [first_line("".join(generation([answer]).texts)) for answer in responses]
        found = [float(bool(text) and exact_match(text, item.answers)) for text in texts]
        with_passage = texts[0]
        parts = (
            ("closed-book", found[1]),
            ("f1", f1(with_passage, item.answers) if with_passage else 0.0),
            ("empty", float(not with_passage)),
            *cut_part(responses[:1]),
        )
        return Score(item.id, found[0], parts=parts, text=with_passage)

    def figures(
        self,
        items: Sequence[PassageItem],  # noqa: ARG002 - the protocol's
        scores: Sequence[Score],
    ) -> dict[str, float | None]:
        """Return exact match with and without passage, F1, shares of empty and of cut answers."""
        scored = [score for score in scores if score.value is not None]
        return {
            "in-context exact match": mean_value(scored),
            "closed-book exact match": mean_part(scored, "closed-book"),
            "in-context f1": mean_part(scored, "f1"),
            "empty share": mean_part(scored, "empty"),
            "passages cut": cut_share(scored),
        }

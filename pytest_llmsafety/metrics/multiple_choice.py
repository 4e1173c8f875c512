"""Multiple choice by loglikelihood: is the likeliest option the right one?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.metrics.base import likelihoods, mean_part, problem_of
from pytest_llmsafety.metrics.cut import cut_part, cut_share
from pytest_llmsafety.types import ChoiceItem, Loglikelihood, Score, TruthItem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.types import Item, Response


@dataclass(frozen=True)
class MultipleChoice:
    """1 where the right option is likelier than every wrong one, else 0.

    The likelihood of an option is summed over its tokens; `per_character` divides it by the
    option's length in characters, which compares across tokenizers (the `acc_norm` of
    lm-evaluation-harness). A tie with a wrong option is no right answer: a model that cannot
    tell options apart earns nothing by their order. Of several right options only the best
    counts (TruthfulQA's MC1, arXiv 2109.07958). Parts: `normalised` (right per character),
    `choice` (index of the likeliest of those options), `cut` (prompt tokens that did not fit).
    """

    per_character: bool = False
    name: ClassVar[str] = "multiple_choice"
    higher_is_better: ClassVar[bool] = True
    support: ClassVar[tuple[float, float]] = (0.0, 1.0)
    measures: ClassVar[str] = "right answers"
    takes: ClassVar[type[Item]] = ChoiceItem

    def requests(self, item: ChoiceItem) -> tuple[Loglikelihood, ...]:
        """The likelihood of a space and each option, every one after the whole prompt."""
        return options(item)

    def scores(
        self, items: Sequence[ChoiceItem], responses: Sequence[tuple[Response, ...]]
    ) -> list[Score]:
        """One score an item; no value where an option has no likelihood."""
        return [self._score(item, answer) for item, answer in zip(items, responses, strict=True)]

    def figures(
        self,
        items: Sequence[ChoiceItem],  # noqa: ARG002 - the protocol's
        scores: Sequence[Score],
    ) -> dict[str, float | None]:
        """Accuracy by sums, accuracy per character, share of prompts that were cut."""
        scored = [score for score in scores if score.value is not None]
        return {
            "accuracy": mean_part(scored, "summed"),
            "accuracy per character": mean_part(scored, "normalised"),
            "prompts cut": cut_share(scored),
        }

    def _score(self, item: ChoiceItem, responses: tuple[Response, ...]) -> Score:
        values, problem = logprobs(item, responses)
        if problem:
            return Score(item.id, None, problem=problem)
        lengths = [max(1, len(option)) for option in item.options]
        per_character = [value / n for value, n in zip(values, lengths, strict=True)]
        judged = per_character if self.per_character else values
        candidates = [i for i in range(len(values)) if i == item.label or i not in right(item)]
        choice = max(candidates, key=judged.__getitem__)
        parts = (
            ("summed", beats(item, values)),
            ("normalised", beats(item, per_character)),
            ("choice", float(choice)),
            *cut_part(responses),
        )
        return Score(item.id, beats(item, judged), parts=parts, text=item.options[choice])


@dataclass(frozen=True)
class MultipleChoicePerCharacter(MultipleChoice):
    """The same with options compared per character, as HellaSwag and ARC are mostly reported."""

    per_character: bool = True
    name: ClassVar[str] = "multiple_choice_per_character"


# ------------------------------------------------------------------ options and their likelihoods


def options(item: ChoiceItem) -> tuple[Loglikelihood, ...]:
    """One request an option: a space and the option after the item's own prompt."""
    return tuple(Loglikelihood(item.prompt, f" {option}") for option in item.options)


def logprobs(item: ChoiceItem, responses: Sequence[Response]) -> tuple[list[float], str]:
    """The options' summed loglikelihoods; the text says why there are none."""
    if len(responses) != len(item.options):
        return [], f"{len(responses)} likelihoods for {len(item.options)} options"
    values = [
        answer.logprob
        for answer in likelihoods(responses)
        if answer.logprob is not None and math.isfinite(answer.logprob) and answer.n_tokens > 0
    ]
    if len(values) == len(responses) and not problem_of(responses):
        return values, ""
    return [], problem_of(responses) or "an option has no finite likelihood"


def right(item: ChoiceItem) -> tuple[int, ...]:
    """The indices of all right options."""
    return item.right if isinstance(item, TruthItem) else (item.label,)


def beats(item: ChoiceItem, values: Sequence[float]) -> float:
    """1.0 when the labelled option lies above every wrong one, else 0.0."""
    wrong = [value for i, value in enumerate(values) if i not in right(item)]
    return float(all(values[item.label] > value for value in wrong))

"""Multiple choice by loglikelihood: is the most likely option the right one?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.metrics.base import ItemMetric, likelihoods, mean_part, problem_of
from pytest_llmsafety.metrics.cut import cut_part, cut_share
from pytest_llmsafety.types import ChoiceItem, Loglikelihood, Score, TruthItem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.types import Item, Response


@dataclass(frozen=True)
class MultipleChoice(ItemMetric):
    """1 when the right option is more likely than every wrong one, else 0.

    The likelihood of an option is summed over its tokens; `per_character` divides it by the
    option's length in characters, which compares across tokenizers (the `acc_norm` of
    lm-evaluation-harness). A tie with a wrong option counts as wrong, so that the order of the
    options does not matter. Of several right options only the best counts (TruthfulQA's MC1, arXiv
    2109.07958). Parts: `normalised` (right per character), `choice` (index of the most likely
    option), `cut` (prompt tokens that did not fit).
    """

    per_character: bool = False
    name: ClassVar[str] = "multiple_choice"
    higher_is_better: ClassVar[bool] = True
    support: ClassVar[tuple[float, float]] = (0.0, 1.0)
    measures: ClassVar[str] = "right answers"
    takes: ClassVar[type[Item]] = ChoiceItem

    def requests(self, item: ChoiceItem) -> tuple[Loglikelihood, ...]:
        """Return the likelihood of a space and each option, after the whole prompt."""
        return options(item)

    def score(self, item: ChoiceItem, responses: tuple[Response, ...]) -> Score:
        """Return the score of an item; no value when an option has no likelihood."""
        values, problem = logprobs(item, responses)
        if problem:
            return Score(item.id, None, problem=problem)
        lengths = [max(1, len(option)) for option in item.options]
        per_character = [value / n for value, n in zip(values, lengths, strict=True)]
        compared = per_character if self.per_character else values
        candidates = [i for i in range(len(values)) if i == item.label or i not in right(item)]
        choice = max(candidates, key=compared.__getitem__)
        parts = (
            ("summed", beats(item, values)),
            ("normalised", beats(item, per_character)),
            ("choice", float(choice)),
            *cut_part(responses),
        )
        return Score(item.id, beats(item, compared), parts=parts, text=item.options[choice])

    def figures(
        self,
        items: Sequence[ChoiceItem],  # noqa: ARG002 - the protocol's
        scores: Sequence[Score],
    ) -> dict[str, float | None]:
        """Return accuracy by sums, accuracy per character, and the share of prompts cut."""
        scored = [score for score in scores if score.value is not None]
        return {
            "accuracy": mean_part(scored, "summed"),
            "accuracy per character": mean_part(scored, "normalised"),
            "prompts cut": cut_share(scored),
        }


@dataclass(frozen=True)
class MultipleChoicePerCharacter(MultipleChoice):
    """The same with options compared per character, as most reports on HellaSwag and ARC do."""

    per_character: bool = True
    name: ClassVar[str] = "multiple_choice_per_character"


# ------------------------------------------------------------------ options and their likelihoods


def options(item: ChoiceItem) -> tuple[Loglikelihood, ...]:
    """Return one request an option: a space and the option after the item's prompt."""
    return tuple(Loglikelihood(item.prompt, f" {option}") for option in item.options)


def logprobs(item: ChoiceItem, responses: Sequence[Response]) -> tuple[list[float], str]:
    """Return the options' summed loglikelihoods, or none and the reason."""
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
    """Return the indices of all right options."""
    return item.right if isinstance(item, TruthItem) else (item.label,)


def beats(item: ChoiceItem, values: Sequence[float]) -> float:
    """Return 1.0 when the labelled option is above every wrong one, else 0.0."""
    wrong = [value for i, value in enumerate(values) if i not in right(item)]
    return float(all(values[item.label] > value for value in wrong))

"""The metric that scores by a task's own filters and its `process_results`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.measurements.harness.choice import PERPLEXITIES, Scale
from pytest_llmsafety.measurements.harness.requests import answers_of, request_of
from pytest_llmsafety.metrics.base import likelihoods, mean, problem_of
from pytest_llmsafety.metrics.cut import cut_part, cut_share
from pytest_llmsafety.metrics.perplexity import perplexity
from pytest_llmsafety.types import ChoiceItem, Generation, Score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_llmsafety.types import Item, Request, Response


@dataclasses.dataclass(frozen=True)
class TaskDocument:
    """One document: its task, the task's name, and the Instances that make requests about it."""

    task: Any
    label: str
    instances: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class TaskMetric:
    """One metric of lm-evaluation-harness under one of the task's filters.

    `documents` are the documents by the id of their item; `drops_space` is as in `answers_of`.
    """

    scale: Scale
    filter: str
    documents: Mapping[str, TaskDocument]
    drops_space: bool = False
    seed: int = 0

    @property
    def name(self) -> str:
        """Return the metric's name."""
        return self.scale.metric

    @property
    def higher_is_better(self) -> bool:
        """Return whether more is better."""
        return self.scale.higher_is_better

    @property
    def support(self) -> tuple[float, float]:
        """Return the range of one score."""
        return self.scale.support

    @property
    def measures(self) -> str:
        """Return the kind of measurement, empty if it is not known."""
        return self.scale.measures

    @property
    def writes(self) -> bool:
        """Return whether any request is for a text."""
        found = (one for document in self.documents.values() for one in document.instances)
        return any(instance.request_type == "generate_until" for instance in found)

    def requests(self, item: Item) -> tuple[Request, ...]:
        """Return the task's requests about one document."""
        instances = self.documents[item.id].instances
        return tuple(request_of(one, key=item.id, seed=self.seed) for one in instances)

    def scores(
        self, items: Sequence[Item], responses: Sequence[tuple[Response, ...]]
    ) -> list[Score]:
        """Return one score for each item, without a value if an answer is missing or no number."""
        return [self._score(item, given) for item, given in zip(items, responses, strict=True)]

    def figures(
        self,
        items: Sequence[Item],  # noqa: ARG002 - the protocol's
        scores: Sequence[Score],
    ) -> dict[str, float | None]:
        """Return the metric over all documents, and the share of prompts that were cut."""
        scored = [score for score in scores if score.value is not None]
        whole = (
            perplexity(scored)
            if self.name in PERPLEXITIES
            else mean([score.value for score in scored if score.value is not None])
        )
        return {self.name: whole, "prompts cut": cut_share(scored)}

    def _score(self, item: Item, responses: tuple[Response, ...]) -> Score:
        if problem := problem_of(responses):
            return Score(item.id, None, problem=problem)
        document = self.documents[item.id]
        instances = [
            dataclasses.replace(
                one,
                resps=answers_of(one, response, drops_space=self.drops_space),
                filtered_resps={},
            )
            for one, response in zip(document.instances, responses, strict=True)
        ]
        for each in document.task._filters:  # noqa: SLF001 - lm_eval gives no other way to one filter
            if each.name == self.filter:
                each.apply(instances)
        given = [one.filtered_resps[self.filter] for one in instances]
        found = document.task.process_results(instances[0].doc, given)
        if self.name not in found:
            problem = f"the task gave no {self.name} but {', '.join(found) or 'nothing'}"
            return Score(item.id, None, problem=problem)
        value, weight, problem = self.scale.read(found[self.name])
        text = _text(item, responses, given)
        return Score(item.id, value, weight, cut_part(responses), text=text, problem=problem)


def _text(item: Item, responses: tuple[Response, ...], given: list[Any]) -> str:
    """Return the generated text, or the most likely option."""
    if isinstance(responses[0], Generation):
        return given[0] if isinstance(given[0], str) else responses[0].texts[0]
    if not isinstance(item, ChoiceItem):
        return ""
    values = [answer.logprob or 0.0 for answer in likelihoods(responses)][: len(item.options)]
    return item.options[max(range(len(values)), key=values.__getitem__)]

"""The Protocol of a metric, and what metrics share: answers by kind, means of scores."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

from pytest_llmsafety.types import Distributions, Generation, Likelihood

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.types import Item, Request, Response, Score


class Metric(Protocol):
    """A function of one model's answers; frozen, so that its parameters name what was measured.

    `support` is the range of one score, `takes` the kind of item that the metric scores, and
    `measures` the kind of thing that the score is about, which may be empty
    (assertions/applicability.py). A working example, to be registered as an entry point of the
    group `pytest_llmsafety.metrics`:

        >>> from dataclasses import dataclass
        >>> from typing import ClassVar
        >>> from pytest_llmsafety.types import Generate, Generation, Item, Score
        >>> @dataclass(frozen=True)
        ... class Shouting:
        ...     name: ClassVar[str] = "shouting"
        ...     higher_is_better: ClassVar[bool] = False
        ...     support: ClassVar[tuple[float, float]] = (0.0, 1.0)
        ...     takes: ClassVar[type[Item]] = Item
        ...     measures: ClassVar[str] = ""
        ...     def requests(self, item):
        ...         return (Generate(item.prompt, key=item.id),)
        ...     def scores(self, items, responses):
        ...         texts = [answer.texts[0] for (answer,) in responses]
        ...         return [Score(i.id, float(t.isupper()), text=t) for i, t in zip(items, texts)]
        ...     def figures(self, items, scores):
        ...         return {"shouting": sum(s.value for s in scores) / len(scores)}
        >>> metric, item = Shouting(), Item("a", "Say:")
        >>> metric.scores([item], [(Generation(("NO!",)),)])[0].value
        1.0
    """

    name: ClassVar[str]
    higher_is_better: ClassVar[bool]
    support: ClassVar[tuple[float, float]]
    takes: ClassVar[Any]  # a class of items, or a union of some
    measures: ClassVar[str]

    def requests(self, item: Any) -> tuple[Request, ...]:  # noqa: ANN401 - its own kind of item
        """Return the requests that a model answers for one item."""
        ...

    def scores(
        self, items: Sequence[Any], responses: Sequence[tuple[Response, ...]]
    ) -> list[Score]:
        """Return one score an item, in order; `responses[i]` answers `requests(items[i])`.

        An item that cannot be scored gets a score with a problem and without a value.
        """
        ...

    def figures(self, items: Sequence[Any], scores: Sequence[Score]) -> dict[str, float | None]:
        """Return figures of one model over all items that have a score; None when undefined."""
        ...


@runtime_checkable
class FollowUp(Protocol):
    """A further method of a metric that asks the other model about the dense model's answers.

    `requests` then goes to the dense model alone. The other model's score is computed from the
    dense responses followed by its own. `kl` is such a metric.
    """

    def follow_up(self, item: Any, dense: tuple[Response, ...]) -> tuple[Request, ...]:  # noqa: ANN401 - its own kind of item
        """Return the requests to the other model for one item, given the dense responses."""
        ...


@runtime_checkable
class NextTurn(Protocol):
    """A further method of a metric that continues a conversation after the model's first answers.

    The responses to both are the item's, in order. `judge` is such a metric.
    """

    def next_turn(self, item: Any, responses: tuple[Response, ...]) -> tuple[Request, ...]:  # noqa: ANN401 - its own kind of item
        """Return the requests to the model after these responses of its own."""
        ...


class ItemMetric:
    """A base class for metrics that score each item by itself; a subclass has `score`."""

    def scores(
        self, items: Sequence[Any], responses: Sequence[tuple[Response, ...]]
    ) -> list[Score]:
        """Return one score an item, in order."""
        return [self.score(item, answers) for item, answers in zip(items, responses, strict=True)]

    def score(self, item: Any, responses: tuple[Response, ...]) -> Score:  # noqa: ANN401 - its own kind of item
        """Return the score of one item; without a value, and with a problem, if it has none."""
        raise NotImplementedError


def problem_of(responses: Sequence[Response]) -> str:
    """Return the first problem among an item's responses; empty when all of them are answers."""
    return next((response.problem for response in responses if response.problem), "")


def likelihoods(responses: Sequence[Response]) -> list[Likelihood]:
    """Return the responses as likelihoods; TypeError for a response of another kind."""
    return [_expect(response, Likelihood) for response in responses]


def generation(responses: Sequence[Response]) -> Generation:
    """Return the one response as a generation; TypeError for a response of another kind."""
    (response,) = responses
    return _expect(response, Generation)


def distributions(responses: Sequence[Response]) -> list[Distributions]:
    """Return the responses as distributions; TypeError for a response of another kind."""
    return [_expect(response, Distributions) for response in responses]


Answer = TypeVar("Answer", Likelihood, Generation, Distributions)


def _expect(response: Response, kind: type[Answer]) -> Answer:
    if not isinstance(response, kind):
        message = f"expected a {kind.__name__}, got {type(response).__name__}."
        raise TypeError(message)
    return response


def mean(values: Sequence[float]) -> float | None:
    """Return the arithmetic mean; None, and never 0, for no values."""
    return sum(values) / len(values) if values else None


def mean_value(scores: Sequence[Score]) -> float | None:
    """Return the mean value of the scores that have one; None when none has."""
    return mean([score.value for score in scores if score.value is not None])


def mean_by_group(
    name: str, items: Sequence[Item], scores: Sequence[Score]
) -> dict[str, float | None]:
    """Return the mean value of the scores, called `name`, and of each group (`name group`)."""
    groups: dict[str, list[Score]] = {group: [] for item in items for group in item.groups}
    for item, score in zip(items, scores, strict=True):
        for group in item.groups:
            groups[group].append(score)
    by_group = {f"{name} {group}": mean_value(row) for group, row in sorted(groups.items())}
    return {name: mean_value(scores), **by_group}


def finite(values: Sequence[float | None]) -> tuple[float, ...] | None:
    """Return all values, or None when one is missing or not finite."""
    found = tuple(value for value in values if value is not None and math.isfinite(value))
    return found if len(found) == len(values) else None


def mean_part(scores: Sequence[Score], name: str) -> float | None:
    """Return the mean of a part over the scores that have it; None when none has."""
    return mean([value for score in scores if (value := part(score, name)) is not None])


def part(score: Score, name: str) -> float | None:
    """Return one of a score's parts by name; None when it has no such part."""
    return dict(score.parts).get(name)

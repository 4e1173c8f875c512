"""What a metric is: requests for an item, a score for its answers, figures over all scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

from pytest_llmsafety.types import Distributions, Generation, Likelihood

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.types import Request, Response, Score


class Metric(Protocol):
    """A function of one model's answers; frozen, so that its parameters name what was measured.

    `support` is the range of one score. Two more class attributes may be left out: `takes` is the
    kind of item that can be asked about, `measures` the kind of thing that the score is about
    (`kinds.py`). A working metric of one's own, registered as an entry point of the group
    `pytest_llmsafety.metrics`:

        >>> from dataclasses import dataclass
        >>> from typing import ClassVar
        >>> from pytest_llmsafety.types import Generate, Generation, Item, Score
        >>> @dataclass(frozen=True)
        ... class Shouting:
        ...     name: ClassVar[str] = "shouting"
        ...     higher_is_better: ClassVar[bool] = False
        ...     support: ClassVar[tuple[float, float]] = (0.0, 1.0)
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

    def requests(self, item: Any) -> tuple[Request, ...]:  # noqa: ANN401 - its own kind of item
        """What the model is asked for one item."""
        ...

    def scores(
        self, items: Sequence[Any], responses: Sequence[tuple[Response, ...]]
    ) -> list[Score]:
        """One score an item, in order; `responses[i]` answers `requests(items[i])`, in order.

        An item that cannot be scored gets a score without a value and with a problem.
        """
        ...

    def figures(self, items: Sequence[Any], scores: Sequence[Score]) -> dict[str, float | None]:
        """Figures of one model over all items that have a score; None where undefined."""
        ...


@runtime_checkable
class FollowUp(Protocol):
    """What else a metric has that asks the other model about the dense model's answers.

    `requests` then goes to the dense model alone, and the other one's score is made of the
    dense responses followed by its own. `kl` is such a metric.
    """

    def follow_up(self, item: Any, dense: tuple[Response, ...]) -> tuple[Request, ...]:  # noqa: ANN401 - its own kind of item
        """What the other model is asked for one item, given the dense model's responses."""
        ...


@runtime_checkable
class NextTurn(Protocol):
    """What else a metric has that asks a model on, after its own first answers.

    The responses to both count as the item's, in order. `judge` is such a metric.
    """

    def next_turn(self, item: Any, responses: tuple[Response, ...]) -> tuple[Request, ...]:  # noqa: ANN401 - its own kind of item
        """What the model is asked after these responses of its own."""
        ...


def problem_of(responses: Sequence[Response]) -> str:
    """The first problem among an item's responses; empty when all of them are answers."""
    return next((response.problem for response in responses if response.problem), "")


def likelihoods(responses: Sequence[Response]) -> list[Likelihood]:
    """The responses as likelihoods. Raises TypeError when a generation is among them."""
    return [_expect(response, Likelihood) for response in responses]


def generation(responses: Sequence[Response]) -> Generation:
    """The one response as a generation. Raises TypeError for anything else."""
    (response,) = responses
    return _expect(response, Generation)


def distributions(responses: Sequence[Response]) -> list[Distributions]:
    """The responses as distributions. Raises TypeError when another kind is among them."""
    return [_expect(response, Distributions) for response in responses]


Answer = TypeVar("Answer", Likelihood, Generation, Distributions)


def _expect(response: Response, kind: type[Answer]) -> Answer:
    if not isinstance(response, kind):
        message = f"expected a {kind.__name__}, got {type(response).__name__}."
        raise TypeError(message)
    return response


def mean(values: Sequence[float]) -> float | None:
    """The arithmetic mean; None for no values, never 0."""
    return sum(values) / len(values) if values else None


def mean_part(scores: Sequence[Score], name: str) -> float | None:
    """The mean of a part over the scores that have it; None where none has, never 0."""
    return mean([value for score in scores if (value := part(score, name)) is not None])


def part(score: Score, name: str) -> float | None:
    """One of a score's parts by name; None when it has none of that name."""
    return dict(score.parts).get(name)

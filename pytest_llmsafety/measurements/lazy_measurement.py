"""A measurement in progress: items are asked in a random order, as many as are needed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from pytest_llmsafety.datasets.selection import shuffled
from pytest_llmsafety.measurements import pair_check
from pytest_llmsafety.measurements.deployment_check import Served, served
from pytest_llmsafety.measurements.duplicates import requests_of, together
from pytest_llmsafety.measurements.measurement import Figure, Measurement, PairedScore, Settings
from pytest_llmsafety.metrics import degeneration
from pytest_llmsafety.metrics.base import FollowUp, NextTurn
from pytest_llmsafety.types import Generate, Generation, Likelihood, Loglikelihood

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.inference.engine import Engine
    from pytest_llmsafety.measurements.look_history import Looks
    from pytest_llmsafety.metrics.base import Metric
    from pytest_llmsafety.specs import Arm, ModelPair
    from pytest_llmsafety.types import ChatSettings, Item, Request, Response, Score

    Responses = list[tuple[Response, ...]]

ESTRANGED = (
    "the guard on broken text asked the compressed model about the dense model's texts, because "
    "the dense model is not here to be asked about the compressed one's"
)


DRAWN = (
    "suite scope was asked for, and the text is sampled: what another seed would draw is not known "
    "even when all prompts were asked, so this verdict is judged in population scope, which counts "
    "that noise"
)


@dataclass(frozen=True)
class Question:
    """What is measured: items of a data set, and the metric that asks and scores them.

    `notes` is what a reader of any verdict should know of the data, and `n_data` how many items
    the data set holds before a limit (0: not known).
    """

    name: str
    dataset: str
    items: tuple[Item, ...]
    metric: Metric
    scorer: str = ""
    data_digest: str = ""
    notes: tuple[str, ...] = ()
    n_data: int = 0


class LazyMeasurement:
    """Asks both models no more items than an assertion wants to see.

    `items` are in the random order that the settings' seed gives; items of one cluster stay
    together, and those with equal requests are one cluster. What was asked is kept: several
    assertions share it, and each may stop elsewhere.
    """

    def __init__(
        self,
        question: Question,
        pair: ModelPair,
        engine: Engine,
        settings: Settings | None = None,
        looks: Looks | None = None,
    ) -> None:
        """Ask nothing yet; `looks` counts how often a gate was judged."""
        self.question = question
        self.name = question.name
        self.dataset = question.dataset
        self.scorer = question.scorer
        self.higher_is_better = question.metric.higher_is_better
        self.support = question.metric.support
        self.measures = question.metric.measures
        self.pair = pair
        requests = requests_of(question.items, question.metric)
        self.settings, self._drawn = for_draws(requests, settings or Settings())
        self.looks = looks
        items, self._repeated = together(question.items, requests)
        self.items = shuffled(items, self.settings.seed)
        self._engine = engine
        arms = [pair.dense, pair.compressed, *([pair.again] if self.settings.noise_floor else [])]
        self._sides = [_Side(arm, question.metric, self.settings.chat) for arm in arms]
        self._pairs: tuple[PairedScore, ...] = ()

    @cached_property
    def problems(self) -> tuple[str, ...]:
        """Why the pair may not be judged; loads the compressed model."""
        prompts = [item.prompt for item in self.question.items]
        own_tokens = self._talks and self.settings.chat.as_deployed
        return pair_check.problems(self.pair, prompts, self._engine, own_tokens=own_tokens)

    @property
    def record(self) -> CompressionRecord | None:
        """What the compression did; loads the compressed model where no cache knows it."""
        return self._engine.record(self.pair.compressed)

    @cached_property
    def _talks(self) -> bool:
        """Whether conversations are asked about."""
        asked = self.question.metric.requests(self.items[0]) if self.items else ()
        return any(isinstance(request, Generate) and request.chat for request in asked)

    @cached_property
    def _served(self) -> Served:
        """How the two models would be served, and what to know about how they were asked."""
        return served(self.pair, self._engine, self.settings.chat, chat=self._talks)

    @property
    def was_read(self) -> bool:
        """Whether scores of it were asked for."""
        return bool(self._sides[0].scores)

    def pairs(self, n: int) -> tuple[PairedScore, ...]:
        """The first `n` items with both scores, None where a model gave none.

        Raises ModelError, CompressionError or ScorerError when a model cannot answer at all.
        """
        self._ask(n)
        done = len(self._pairs)
        if done < n:
            new = (side.scores[done:n] for side in self._sides[:2])
            self._pairs += paired(self.items[done:n], *new)
        return self._pairs[:n]

    def first(self, n: int) -> Measurement:
        """The measurement as it stands after the first `n` items; raises as `pairs`."""
        pairs, metric, items = self.pairs(n), self.question.metric, self.items[:n]
        dense, compressed, *again = self._sides
        broken, note = broken_speech(
            self.pair, items, metric, (dense.responses[:n], compressed.responses[:n]), self._engine
        )
        figures = [metric.figures(items, side.scores[:n]) for side in (dense, compressed)]
        return Measurement(
            name=self.question.name,
            dataset=self.question.dataset,
            pair=self.pair,
            pairs=pairs,
            higher_is_better=metric.higher_is_better,
            support=metric.support,
            record=self.record,
            figures=tuple(Figure(name, figures[0][name], figures[1][name]) for name in figures[0]),
            scorer=self.question.scorer,
            problems=self.problems,
            degeneration=broken,
            settings=self.settings,
            n_suite=len(self.items),
            data_digest=self.question.data_digest,
            replica=paired(items, dense.scores[:n], again[0].scores[:n]) if again else (),
            n_data=self.question.n_data,
            notes=(
                *self.question.notes,
                *self._repeated,
                *self._drawn,
                *self._engine.reference.note(),
                *self._served.notes,
                *note,
            ),
            measures=self.measures,
            artefact=self._served.differences,
        )

    @property
    def first_request(self) -> str:
        """How the first item is asked, which shows the settings of sampling and of chats."""
        return repr(self.question.metric.requests(self.items[0]))

    def identity(self) -> tuple[object, ...]:
        """Return what tells this pair of models from others, whatever seed a run has."""
        found = self._engine.identity(self.pair.compressed)
        spec = self.pair.compression
        return found.model, found.recipe, found.calibration, spec.seed

    def all(self) -> Measurement:
        """The measurement of every item; raises as `pairs`."""
        return self.first(len(self.items))

    def _ask(self, n: int) -> None:
        """Ask up to the first `n` items; twice as many where two models do not fit at once.

        The dense model is asked first, and the others then what it has answered. For a baseline
        it is asked everything, because the next compressed model may need more items.
        """
        dense, *others = self._sides
        asked = len(others[0].scores)
        if n <= asked:
            return
        end = max(n, 2 * asked) if self._engine.crowded else n
        self._ask_dense(len(self.items) if self._engine.reference.records else end)
        for side in others:
            done = len(side.scores)
            side.ask(self.items[done:end], self._engine, dense.responses[done:end])

    def _ask_dense(self, end: int) -> None:
        """Ask the dense model up to item `end`, and for a baseline how likely its own texts are."""
        dense = self._sides[0]
        if len(dense.scores) >= end:
            return
        dense.ask(self.items[len(dense.scores) : end], self._engine)
        if self._engine.reference.records and not self.higher_is_better:
            unlikelihoods(dense.arm, spoken(self.items, dense.responses), self._engine)


def for_draws(
    requests: Sequence[Sequence[Request]], settings: Settings
) -> tuple[Settings, tuple[str, ...]]:
    """Return the settings that the requests can keep, and a note where they had to change.

    Sampled text is one draw of many: its mean over all prompts of a suite is not known when all
    are measured once. So the draw's noise is counted, as that of a sample of prompts is.
    """
    sampled = any(
        isinstance(request, Generate) and request.temperature > 0
        for group in requests
        for request in group
    )
    if settings.scope != "suite" or not sampled:
        return settings, ()
    return dataclasses.replace(settings, scope="population"), (DRAWN,)


class _Side:
    """One model's answers and scores so far."""

    def __init__(self, arm: Arm, metric: Metric, chat: ChatSettings) -> None:
        """Start without any."""
        self.arm = arm
        self.metric = metric
        self.chat = chat
        self.responses: Responses = []
        self.scores: list[Score] = []

    def ask(self, items: Sequence[Item], engine: Engine, dense: Responses | None = None) -> None:
        """Answer and score the next items; `dense` is what the dense model answered to them."""
        metric = self.metric
        if dense is None or not isinstance(metric, FollowUp):
            responses = self._answers(items, [metric.requests(item) for item in items], engine)
            self.scores += metric.scores(items, responses)
        else:
            both = list(zip(items, dense, strict=True))
            responses = self._answers(items, [metric.follow_up(*one) for one in both], engine)
            joined = [told + group for told, group in zip(dense, responses, strict=True)]
            self.scores += metric.scores(items, joined)
        self.responses += responses

    def _answers(
        self, items: Sequence[Item], requests: Sequence[tuple[Request, ...]], engine: Engine
    ) -> Responses:
        """The responses of this model, those of a further turn after the first ones."""
        first = ask(self.arm, [*map(self._put, requests)], engine)
        if not isinstance(self.metric, NextTurn):
            return first
        further = [self.metric.next_turn(*one) for one in zip(items, first, strict=True)]
        second = ask(self.arm, [*map(self._put, further)], engine)
        return [one + other for one, other in zip(first, second, strict=True)]

    def _put(self, requests: tuple[Request, ...]) -> tuple[Request, ...]:
        """The requests, conversations under the settings of the run."""
        artefact = self.arm.checkpoint is not None
        return tuple(self.chat.put(request, artefact=artefact) for request in requests)


def ask(arm: Arm, requests: Sequence[tuple[Request, ...]], engine: Engine) -> Responses:
    """One model's responses to the requests about every item, in order."""
    responses = iter(engine.answer(arm, [request for group in requests for request in group]))
    return [tuple(islice(responses, len(group))) for group in requests]


def paired(
    items: Sequence[Item], dense: Sequence[Score], compressed: Sequence[Score]
) -> tuple[PairedScore, ...]:
    """Scores aligned by item id; ValueError when a score is of no item or an item has none."""
    sides = [{score.item_id: score for score in side} for side in (dense, compressed)]
    asked = {item.id for item in items}
    if any(side.keys() != asked for side in sides) or len(asked) != len(items):
        message = "the scores of the two models are not of the same items"
        raise ValueError(message)
    return tuple(PairedScore(item, sides[0][item.id], sides[1][item.id]) for item in items)


def broken_speech(
    pair: ModelPair,
    items: Sequence[Item],
    metric: Metric,
    responses: tuple[Responses, Responses],
    engine: Engine,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Why the compressed model's texts may be too broken to be scored, if they are, and a note.

    That the dense model says nothing counts for every score. That the compressed one does counts
    where it improves the score: generated text, lower is better. The dense model then says how
    likely the texts of both models are; where it cannot be asked, the compressed one says how
    likely the dense model's texts are to it, and the note tells so.
    """
    dense, compressed = (spoken(items, side) for side in responses)
    texts = [text for _, text in dense], [text for _, text in compressed]
    silent = degeneration.nothing_said(texts[0])
    if silent or metric.higher_is_better or not dense:
        return silent, ()
    own = unlikelihoods(pair.dense, dense, engine)
    if engine.can_answer(pair.dense, likelihoods(compressed)):
        nats = unlikelihoods(pair.dense, compressed, engine)
        return degeneration.compare(*texts, dense_nll=own, compressed_nll=nats), ()
    nats = unlikelihoods(pair.compressed, dense, engine)
    broken = (*degeneration.compare(*texts), *degeneration.estranged(own, nats))
    return broken, (ESTRANGED,)


def spoken(items: Sequence[Item], responses: Responses) -> list[tuple[str, str]]:
    """Each generated text with the prompt that it continues."""
    return [
        (item.prompt, text)
        for item, group in zip(items, responses, strict=True)
        for text in generated(group)
    ]


def generated(responses: Sequence[Response]) -> list[str]:
    """All texts among the responses to one item."""
    return [
        text
        for response in responses
        if isinstance(response, Generation)
        for text in response.texts
    ]


def likelihoods(texts: Sequence[tuple[str, str]]) -> list[Loglikelihood]:
    """How likely is each non-empty text after its prompt?"""
    return [Loglikelihood(prompt, text) for prompt, text in texts if text.strip()]


def unlikelihoods(arm: Arm, texts: Sequence[tuple[str, str]], engine: Engine) -> list[float]:
    """Nats per token of each non-empty text after its prompt, under one model."""
    return [
        -response.logprob / response.n_tokens
        for response in engine.answer(arm, likelihoods(texts))
        if isinstance(response, Likelihood) and response.logprob is not None and response.n_tokens
    ]

"""A measurement in progress, which asks models about only as many items as are needed."""

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

NO_DENSE_WEIGHTS = (
    "the check for broken text used the likelihood of the dense model's texts under the compressed "
    "model, because the dense weights are not available in a baseline run"
)
SAMPLED = (
    "suite scope was requested, but the text is sampled and another seed would give other text: "
    "this verdict is in population scope, which counts that noise"
)


@dataclass(frozen=True)
class Question:
    """The items of a data set, and the metric that makes requests of them and scores the answers.

    `notes` are shown with every verdict on these data. `n_data` is the number of items in the data
    set before a limit (0: not known).
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
    """A measurement that asks both models about no more items than an assertion reads.

    `items` are in a random order that depends on the seed of the settings. Items of one cluster
    stay together, and items with equal requests are one cluster. Answers are kept, so several
    assertions share them, and each may stop at another item.
    """

    def __init__(
        self,
        question: Question,
        pair: ModelPair,
        engine: Engine,
        settings: Settings | None = None,
        looks: Looks | None = None,
    ) -> None:
        """Order the items without asking any model; `looks` counts how often a gate was applied."""
        self.question = question
        self.name = question.name
        self.dataset = question.dataset
        self.scorer = question.scorer
        self.higher_is_better = question.metric.higher_is_better
        self.support = question.metric.support
        self.measures = question.metric.measures
        self.pair = pair
        requests = requests_of(question.items, question.metric)
        self.settings, self._sampled = with_sampling_noise(requests, settings or Settings())
        self.looks = looks
        items, self._repeated = together(question.items, requests)
        self.items = shuffled(items, self.settings.seed)
        self._engine = engine
        arms = [pair.dense, pair.compressed, *([pair.again] if self.settings.noise_floor else [])]
        self._sides = [_Side(arm, question.metric, self.settings.chat) for arm in arms]
        self._pairs: tuple[PairedScore, ...] = ()

    @cached_property
    def problems(self) -> tuple[str, ...]:
        """Return why the two models cannot be compared; loads the compressed model."""
        prompts = [item.prompt for item in self.question.items]
        own_tokens = self._has_chats and self.settings.chat.as_deployed
        return pair_check.problems(self.pair, prompts, self._engine, own_tokens=own_tokens)

    @property
    def record(self) -> CompressionRecord | None:
        """Return the record of the compression; loads the compressed model if it is not cached."""
        return self._engine.record(self.pair.compressed)

    @cached_property
    def _has_chats(self) -> bool:
        requests = self.question.metric.requests(self.items[0]) if self.items else ()
        return any(isinstance(request, Generate) and request.chat for request in requests)

    @cached_property
    def _served(self) -> Served:
        return served(self.pair, self._engine, self.settings.chat, chat=self._has_chats)

    @property
    def was_read(self) -> bool:
        """Return whether any scores were read."""
        return bool(self._sides[0].scores)

    def pairs(self, n: int) -> tuple[PairedScore, ...]:
        """Return the first `n` items with the scores of both models; asks those that are missing.

        A score has no value where a model gave no answer. Raises ModelError, CompressionError or
        ScorerError when a model cannot answer at all.
        """
        self._ask(n)
        done = len(self._pairs)
        if done < n:
            new = (side.scores[done:n] for side in self._sides[:2])
            self._pairs += paired(self.items[done:n], *new)
        return self._pairs[:n]

    def first(self, n: int) -> Measurement:
        """Return the finished measurement of the first `n` items; raises as `pairs`."""
        pairs, metric, items = self.pairs(n), self.question.metric, self.items[:n]
        dense, compressed, *again = self._sides
        broken, note = broken_texts(
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
                *self._sampled,
                *self._engine.dense_source.notes(),
                *self._served.notes,
                *note,
            ),
            measures=self.measures,
            artefact=self._served.differences,
        )

    @property
    def first_request(self) -> str:
        """Return the requests about the first item, with their sampling and chat settings."""
        return repr(self.question.metric.requests(self.items[0]))

    def identity(self) -> tuple[object, ...]:
        """Return what identifies this pair of models, independent of the seed of a run."""
        found = self._engine.identity(self.pair.compressed)
        spec = self.pair.compression
        return found.model, found.recipe, found.calibration, spec.seed

    def all(self) -> Measurement:
        """Return the finished measurement of every item; raises as `pairs`."""
        return self.first(len(self.items))

    def _ask(self, n: int) -> None:
        """Ask all models up to item `n`, or to twice as many if two models do not fit at once.

        The dense model comes first, as requests to the others may depend on its answers. For a
        baseline it answers every item, because the next compressed model may need more of them.
        """
        dense, *others = self._sides
        done = len(others[0].scores)
        if n <= done:
            return
        end = max(n, 2 * done) if self._engine.crowded else n
        self._ask_dense(len(self.items) if self._engine.dense_source.collects else end)
        for side in others:
            done = len(side.scores)
            side.ask(self.items[done:end], self._engine, dense.responses[done:end])

    def _ask_dense(self, end: int) -> None:
        """Ask the dense model up to item `end`; for a baseline, also how likely its texts are."""
        dense = self._sides[0]
        if len(dense.scores) >= end:
            return
        dense.ask(self.items[len(dense.scores) : end], self._engine)
        if self._engine.dense_source.collects and not self.higher_is_better:
            nats_per_token(dense.arm, generated_texts(self.items, dense.responses), self._engine)


def with_sampling_noise(
    requests: Sequence[Sequence[Request]], settings: Settings
) -> tuple[Settings, tuple[str, ...]]:
    """Return the settings with population scope if any request samples text, and a note on it.

    Sampled text is one draw of many. Asking all prompts of a suite once does not give its mean, so
    the noise of the draw has to be counted like the noise of a sample of prompts.
    """
    sampled = any(
        isinstance(request, Generate) and request.temperature > 0
        for group in requests
        for request in group
    )
    if settings.scope != "suite" or not sampled:
        return settings, ()
    return dataclasses.replace(settings, scope="population"), (SAMPLED,)


class _Side:
    """One model's answers and scores so far."""

    def __init__(self, arm: Arm, metric: Metric, chat: ChatSettings) -> None:
        self.arm = arm
        self.metric = metric
        self.chat = chat
        self.responses: Responses = []
        self.scores: list[Score] = []

    def ask(self, items: Sequence[Item], engine: Engine, dense: Responses | None = None) -> None:
        """Ask and score the next items; `dense` are the dense model's responses to them."""
        metric = self.metric
        if dense is None or not isinstance(metric, FollowUp):
            responses = self._answers(items, [metric.requests(item) for item in items], engine)
            self.scores += metric.scores(items, responses)
        else:
            both = list(zip(items, dense, strict=True))
            responses = self._answers(items, [metric.follow_up(*one) for one in both], engine)
            joined = [one + other for one, other in zip(dense, responses, strict=True)]
            self.scores += metric.scores(items, joined)
        self.responses += responses

    def _answers(
        self, items: Sequence[Item], requests: Sequence[tuple[Request, ...]], engine: Engine
    ) -> Responses:
        first = ask(self.arm, [*map(self._put, requests)], engine)
        if not isinstance(self.metric, NextTurn):
            return first
        further = [self.metric.next_turn(*one) for one in zip(items, first, strict=True)]
        second = ask(self.arm, [*map(self._put, further)], engine)
        return [one + other for one, other in zip(first, second, strict=True)]

    def _put(self, requests: tuple[Request, ...]) -> tuple[Request, ...]:
        artefact = self.arm.checkpoint is not None
        return tuple(self.chat.put(request, artefact=artefact) for request in requests)


def ask(arm: Arm, requests: Sequence[tuple[Request, ...]], engine: Engine) -> Responses:
    """Return one model's responses to the requests about each item, in order."""
    responses = iter(engine.answer(arm, [request for group in requests for request in group]))
    return [tuple(islice(responses, len(group))) for group in requests]


def paired(
    items: Sequence[Item], dense: Sequence[Score], compressed: Sequence[Score]
) -> tuple[PairedScore, ...]:
    """Return the scores of both models by item. Raises ValueError for scores of other items."""
    sides = [{score.item_id: score for score in side} for side in (dense, compressed)]
    ids = {item.id for item in items}
    if any(side.keys() != ids for side in sides) or len(ids) != len(items):
        message = "the scores of the two models are not of the same items"
        raise ValueError(message)
    return tuple(PairedScore(item, sides[0][item.id], sides[1][item.id]) for item in items)


def broken_texts(
    pair: ModelPair,
    items: Sequence[Item],
    metric: Metric,
    responses: tuple[Responses, Responses],
    engine: Engine,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return why the texts are too broken to be scored, empty if they are not, and a note.

    An empty dense model counts for every score. Broken texts of the compressed model count only
    where they would improve the score: generated text, lower is better. The texts of both models
    are compared by their likelihood under the dense model. If that cannot be asked, the likelihood
    of the dense model's texts under both models is compared, and the note says so.
    """
    dense, compressed = (generated_texts(items, side) for side in responses)
    texts = [text for _, text in dense], [text for _, text in compressed]
    silent = degeneration.nothing_said(texts[0])
    if silent or metric.higher_is_better or not dense:
        return silent, ()
    own = nats_per_token(pair.dense, dense, engine)
    if engine.can_answer(pair.dense, likelihoods(compressed)):
        nats = nats_per_token(pair.dense, compressed, engine)
        return degeneration.compare(*texts, dense_nll=own, compressed_nll=nats), ()
    nats = nats_per_token(pair.compressed, dense, engine)
    broken = (*degeneration.compare(*texts), *degeneration.estranged(own, nats))
    return broken, (NO_DENSE_WEIGHTS,)


def generated_texts(items: Sequence[Item], responses: Responses) -> list[tuple[str, str]]:
    """Return each generated text with the prompt that it continues."""
    return [
        (item.prompt, text)
        for item, group in zip(items, responses, strict=True)
        for response in group
        if isinstance(response, Generation)
        for text in response.texts
    ]


def likelihoods(texts: Sequence[tuple[str, str]]) -> list[Loglikelihood]:
    """Return a request for the likelihood of each non-empty text after its prompt."""
    return [Loglikelihood(prompt, text) for prompt, text in texts if text.strip()]


def nats_per_token(arm: Arm, texts: Sequence[tuple[str, str]], engine: Engine) -> list[float]:
    """Return the nats per token of each non-empty text after its prompt, under one model."""
    return [
        -response.logprob / response.n_tokens
        for response in engine.answer(arm, likelihoods(texts))
        if isinstance(response, Likelihood) and response.logprob is not None and response.n_tokens
    ]

"""Lazy measurements whose models answer what a simulation has drawn, asked block by block."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.inference.dense_source import DenseSource
from pytest_llmsafety.measurements.lazy_measurement import LazyMeasurement, Question
from pytest_llmsafety.measurements.measurement import Settings
from pytest_llmsafety.types import Generate, Generation, Item, Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from scenarios import FloatArray

    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.specs import Arm, ModelPair
    from pytest_llmsafety.types import Request, Response


class Scripted:
    """A metric whose score is the number that the model gave, from 0 (wrong) to 1 (right)."""

    name: ClassVar[str] = "scripted"
    higher_is_better: ClassVar[bool] = True
    support: ClassVar[tuple[float, float]] = (0.0, 1.0)
    takes: ClassVar[type[Item]] = Item
    measures: ClassVar[str] = ""

    def requests(self, item: Item) -> tuple[Request, ...]:
        """The item's id, by which the engine finds what was drawn."""
        return (_request(item.id),)

    def scores(
        self, items: Sequence[Item], responses: Sequence[tuple[Response, ...]]
    ) -> list[Score]:
        """The numbers."""
        return [
            Score(item.id, float(group[0].texts[0]))  # type: ignore[union-attr]
            for item, group in zip(items, responses, strict=True)
        ]

    def figures(self, items: Sequence[Item], scores: Sequence[Score]) -> dict[str, float | None]:  # noqa: ARG002 - the protocol's
        """None."""
        return {}


@functools.cache
def _request(key: str) -> Generate:
    return Generate(f"prompt {key}", key=key)


@dataclass
class Engine:
    """Answers with what was drawn: `deltas` of the items i0, i1, ..., larger = worse."""

    deltas: FloatArray
    of_record: CompressionRecord
    crowded: bool = False
    dense_source: DenseSource = field(default_factory=DenseSource)

    def answer(self, arm: Arm, requests: Sequence[Generate]) -> list[Response]:
        """Return the scores of one model, as texts."""
        drawn = (float(self.deltas[int(request.key[1:])]) for request in requests)
        before = ((1.0 + min(delta, 0.0), delta) for delta in drawn)
        scores = [dense - delta if arm.compression else dense for dense, delta in before]
        return [Generation((repr(score),), (1,), (True,)) for score in scores]

    def record(self, arm: Arm) -> CompressionRecord:  # noqa: ARG002 - one compression
        """Return the record of a compression."""
        return self.of_record

    def deployments(self, pair: ModelPair) -> tuple[None, None]:  # noqa: ARG002 - it has no files
        """Return nothing: there are no files that say how a model is served."""
        return None, None

    def tokens(self, arm: Arm, texts: Sequence[str]) -> list[tuple[int, ...]]:  # noqa: ARG002
        """Return the same tokens for both models."""
        return [(1,) for _ in texts]

    def tokenizer_differences(self, arm: Arm) -> tuple[str, ...]:  # noqa: ARG002 - one tokenizer
        """Return none."""
        return ()


@functools.cache
def plain(n: int, groups: int = 0) -> tuple[Item, ...]:
    """Return n independent items, in turns in so many groups."""
    names: list[tuple[str, ...]] = [(f"g{number}",) for number in range(groups)] or [()]
    return tuple(Item(f"i{i}", f"prompt {i}", names[i % len(names)]) for i in range(n))


def clustered(labels: np.ndarray[tuple[int], np.dtype[np.int64]]) -> tuple[Item, ...]:
    """Return items in these clusters."""
    return tuple(Item(f"i{i}", f"prompt {i}", (), f"c{c}") for i, c in enumerate(labels.tolist()))


def lazy(
    deltas: FloatArray,
    items: tuple[Item, ...],
    pair: ModelPair,
    record: CompressionRecord,
    *,
    scope: str = "population",
    seed: int = 0,
) -> LazyMeasurement:
    """Return a measurement that asks for these deltas, in the order that the seed gives."""
    question = Question("qa", "made up", items, Scripted())
    engine = Engine(deltas, record)
    return LazyMeasurement(question, pair, engine, Settings(scope=scope, seed=seed))  # type: ignore[arg-type]

"""A lazy measurement whose compressed model answers what a function says."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pytest_llmsafety.inference.dense_source import DenseSource
from pytest_llmsafety.measurements.lazy_measurement import LazyMeasurement, Question
from pytest_llmsafety.measurements.measurement import Settings
from pytest_llmsafety.types import Generate, Generation, Item, Score
from tests.stand_ins.measurements import PAIR, RECORD

if TYPE_CHECKING:
    from collections.abc import Callable

ITEMS = tuple(Item(f"i{n}", f"prompt {n}", groups=(f"g{n % 2}",)) for n in range(3000))


class SpokenNumber:
    """A metric whose score is the text that the model gave, as a number."""

    name = "spoken number"
    higher_is_better = True
    support = (0.0, 1.0)
    takes = Item
    measures = ""

    def requests(self, item):
        """The item's id, so that the engine can look it up."""
        return (Generate(item.prompt, key=item.id),)

    def scores(self, items, responses):
        """The number; a text that is none has no score."""
        texts = [group[0].texts[0] for group in responses]
        return [
            Score(item.id, None, problem="?") if text == "?" else Score(item.id, float(text))
            for item, text in zip(items, texts, strict=True)
        ]

    def figures(self, items, scores):  # noqa: ARG002 - none are needed
        """None."""
        return {}


@dataclasses.dataclass
class Answers:
    """An engine: the dense model is always right, the compressed one says what `says` does."""

    says: Callable[[str], str]
    crowded: bool = False
    dense_source: DenseSource = dataclasses.field(default_factory=DenseSource)
    asked: int = 0

    def answer(self, arm, requests):
        """1 or 0 for each request."""
        self.asked += len(requests) if arm.compression else 0
        texts = [self.says(r.key) if arm.compression else "1" for r in requests]
        return [Generation((text,), (1,), (True,)) for text in texts]

    def record(self, arm):  # noqa: ARG002 - one compression
        """A record with one changed layer."""
        return RECORD

    def deployments(self, pair):  # noqa: ARG002 - it has no files
        """Nothing is known of how they are served."""
        return None, None

    def tokens(self, arm, texts):  # noqa: ARG002 - one tokenizer
        """The same tokens for both."""
        return [(1,) for _ in texts]

    def tokenizer_differences(self, arm):  # noqa: ARG002 - one tokenizer
        """None."""
        return ()


def lazy(says, items=ITEMS, **settings) -> tuple[LazyMeasurement, Answers]:
    """A measurement on which the compressed model answers what `says` says."""
    engine = Answers(says)
    question = Question("qa", "made-up", items, SpokenNumber())
    return LazyMeasurement(question, PAIR, engine, Settings(**settings)), engine

"""LazyMeasurement: both models answer as many items as are needed, paired by id."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from pytest_llmsafety.datasets.selection import shuffled
from pytest_llmsafety.inference.dense_source import DenseSource
from pytest_llmsafety.measurements import pair_check
from pytest_llmsafety.measurements.lazy_measurement import LazyMeasurement, Question, paired
from pytest_llmsafety.measurements.measurement import Settings
from pytest_llmsafety.types import Generate, Generation, Item, Likelihood, Loglikelihood, Score
from tests.stand_ins.measurements import PAIR, RECORD

ITEMS = tuple(Item(f"i{n}", f"prompt {n}") for n in range(20))


@dataclass(frozen=True)
class Shouting:
    """Scores the share of capital letters in a continuation."""

    name: ClassVar[str] = "shouting"
    higher_is_better: ClassVar[bool] = False
    support: ClassVar[tuple[float, float]] = (0.0, 1.0)
    takes: ClassVar[type[Item]] = Item
    measures: ClassVar[str] = ""

    def requests(self, item):
        """One continuation."""
        return (Generate(item.prompt, key=item.id),)

    def scores(self, items, responses):
        """Share of capitals of each text."""
        texts = [group[0].texts[0] for group in responses]
        return [
            Score(item.id, sum(c.isupper() for c in text) / max(len(text), 1), text=text)
            for item, text in zip(items, texts, strict=True)
        ]

    def figures(self, items, scores):  # noqa: ARG002 - a mean needs no items
        """The mean."""
        return {"shouting": sum(score.value for score in scores) / len(scores)}


@dataclass
class TwoVoices:
    """An engine whose dense arm speaks one text and whose compressed arm another."""

    dense: str
    compressed: str
    unlikely: float = 1.0
    crowded: bool = False
    dense_source: DenseSource = field(default_factory=DenseSource)
    asked: list[tuple[str, int]] = field(default_factory=list)

    def answer(self, arm, requests):
        """Texts for Generate, and a fixed likelihood per word."""
        self.asked.append((arm.name, len(requests)))
        text = self.dense if arm.compression is None else self.compressed
        return [
            Generation((text,), (3,), (True,))
            if isinstance(request, Generate)
            else self.likelihood(request)
            for request in requests
        ]

    def can_answer(self, arm, requests):  # noqa: ARG002 - it has both models
        """Whatever is asked."""
        return True

    def likelihood(self, request: Loglikelihood):
        """The dense model finds only its own text likely."""
        nats = 1.0 if request.continuation == self.dense else self.unlikely
        return Likelihood(-nats * 3, 3)

    def record(self, arm):  # noqa: ARG002 - one compression
        """A record with one changed layer."""
        return RECORD

    def deployments(self, pair):  # noqa: ARG002 - it has no files
        """Nothing is known of how they are served."""
        return None, None

    def tokens(self, arm, texts):
        """Token ids that differ between the arms when their texts differ in length by ten."""
        extra = arm.compression is not None and self.compressed == "other tokenizer"
        return [(1, 2, 3) if extra else (1, 2) for _ in texts]

    def tokenizer_differences(self, arm):
        """Those of a compressed model with other merges."""
        return ("merges",) if arm.compression and self.compressed == "other merges" else ()


QUESTION = Question("shouting", "made-up", ITEMS, Shouting())


def lazy(engine: TwoVoices, **settings) -> LazyMeasurement:
    """The twenty items, not asked yet."""
    return LazyMeasurement(QUESTION, PAIR, engine, Settings(**settings))


def test_scores_are_paired_by_item():
    """Every item has the scores of both models, in the random order of the seed."""
    made = lazy(TwoVoices("quiet words here", "LOUD words here")).all()
    assert [pair.item for pair in made.pairs] == list(shuffled(ITEMS, 0))
    assert made.pairs[0].values == (0.0, pytest.approx(4 / 15))
    assert made.figures[0].dense == 0.0
    assert (made.degeneration, made.n_suite) == ((), 20)


def test_only_what_is_wanted_is_asked():
    """Both models answer the first five items, later the next three; none is asked twice."""
    engine = TwoVoices("quiet", "LOUD")
    measuring = lazy(engine)
    assert engine.asked == []
    assert len(measuring.pairs(5)) == 5
    assert measuring.pairs(8)[:5] == measuring.pairs(5)
    assert engine.asked == [("dense", 5), ("int4", 5), ("dense", 3), ("int4", 3)]


def test_what_was_paired_is_not_paired_again():
    """A further look adds the new items to the pairs that are there."""
    measuring = lazy(TwoVoices("quiet", "LOUD"))
    first = measuring.pairs(5)
    assert all(a is b for a, b in zip(measuring.pairs(8), first, strict=False))
    assert measuring.pairs(3) == first[:3]
    assert [pair.item for pair in measuring.pairs(20)] == list(shuffled(ITEMS, 0))


def test_models_that_do_not_fit_together_answer_more_at_a_time():
    """Where one model has to make room for the other, each turn asks twice as many items."""
    engine = TwoVoices("quiet", "LOUD", crowded=True)
    measuring = lazy(engine)
    assert [len(measuring.pairs(n)) for n in (5, 6, 7)] == [5, 6, 7]
    assert engine.asked == [("dense", 5), ("int4", 5), ("dense", 5), ("int4", 5)]


def test_an_error_of_one_model_keeps_the_other_ones_answers():
    """The dense answers are not asked again when the compressed model failed in between."""

    class Broken(TwoVoices):
        def answer(self, arm, requests):
            if arm.compression and not self.crowded:
                self.crowded = True
                raise RuntimeError
            return super().answer(arm, requests)

    engine = Broken("quiet", "LOUD")
    measuring = lazy(engine)
    with pytest.raises(RuntimeError):
        measuring.pairs(20)
    assert len(measuring.pairs(20)) == 20
    assert engine.asked == [("dense", 20), ("int4", 20)]


def test_the_noise_floor_asks_the_dense_model_again():
    """Where it is wanted, the same items are asked of the dense model as an arm of its own."""
    engine = TwoVoices("quiet", "LOUD")
    made = lazy(engine, noise_floor=True).first(4)
    assert [pair.item for pair in made.replica] == [pair.item for pair in made.pairs]
    assert ("dense again", 4) in engine.asked


@dataclass(frozen=True)
class Echoing(Shouting):
    """Scores how much longer the second of two texts is."""

    def follow_up(self, item, dense):
        """A continuation of the dense model's continuation."""
        return (Generate(item.prompt + dense[0].texts[0], key=item.id),)

    def scores(self, items, responses):
        """Length of the last text less that of the first."""
        lengths = [[len(answer.texts[0]) for answer in group] for group in responses]
        return [
            Score(item.id, float(found[-1] - found[0]))
            for item, found in zip(items, lengths, strict=True)
        ]


@pytest.mark.parametrize("crowded", [False, True])
def test_a_follow_up_is_about_the_dense_models_answers(crowded):
    """The other models are asked what the dense one's answers lead to, and scored with both."""

    class Listening(TwoVoices):
        contexts: ClassVar[list[tuple[str, str]]] = []

        def answer(self, arm, requests):
            self.contexts += [(arm.name, r.context) for r in requests if isinstance(r, Generate)]
            return super().answer(arm, requests)

    engine = Listening("calm", "louder", crowded=crowded)
    question = Question("echoing", "made-up", ITEMS, Echoing())
    measuring = LazyMeasurement(question, PAIR, engine, Settings(noise_floor=True))
    for n in (3, 5, 20):
        made = measuring.first(n)
        assert [pair.values for pair in made.pairs] == [(0.0, 2.0)] * n
        assert [pair.values for pair in made.replica] == [(0.0, 0.0)] * n
    first = measuring.items[0].prompt
    asked = dict(reversed(engine.contexts))
    assert asked == {"dense": first, "int4": f"{first}calm", "dense again": f"{first}calm"}


def test_items_of_a_cluster_stay_together():
    """The order is random by cluster and by seed, and depends on nothing else."""
    items = [Item(f"i{n}", "", cluster=f"c{n % 4}") for n in range(20)]
    order = [item.cluster for item in shuffled(items, 1)]
    assert sorted(set(order), key=order.index) == [order[n] for n in range(0, 20, 5)]
    assert shuffled(items[::-1], 1) == shuffled(items, 1) != shuffled(items, 2)


@pytest.mark.parametrize(
    ("text", "unlikely"),
    [("", 1.0), ("again and again and again and again and again and again and", 1.0),
     ("blxq vrrt zzkp", 12.0)],
)  # fmt: skip
def test_broken_speech_is_noticed(text, unlikely):
    """Empty, looping and improbable texts of the compressed model each leave a sentence."""
    assert lazy(TwoVoices("quiet words here", text, unlikely)).all().degeneration


def test_scores_of_other_items_are_an_error():
    """A score without its item, or an item without its score, is never dropped silently."""
    scores = [Score(item.id, 0.0) for item in ITEMS]
    with pytest.raises(ValueError, match="same items"):
        paired(ITEMS, scores, scores[:-1])


def test_pair_with_another_tokenizer_is_not_comparable():
    """Other token ids for the same prompt are a problem; a fit pair has none."""
    prompts = [item.prompt for item in ITEMS]
    assert pair_check.problems(PAIR, prompts, TwoVoices("a", "b")) == ()
    found = pair_check.problems(PAIR, prompts, TwoVoices("a", "other tokenizer"))
    assert "tokenizers differ on 20 of 20" in found[0]
    found = pair_check.problems(PAIR, prompts, TwoVoices("a", "other merges"))
    assert "the tokenizers differ in merges" in found[0]

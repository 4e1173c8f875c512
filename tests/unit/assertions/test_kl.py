"""assert_kl: how far the next tokens of two models diverge."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from pytest_llmsafety import assert_kl
from pytest_llmsafety.errors import ConfigurationError, SafetyFailure, SafetyInconclusive
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.inference.engine import Engine
from pytest_llmsafety.measurements.lazy_measurement import LazyMeasurement, Question
from pytest_llmsafety.measurements.measurement import Figure, Settings
from pytest_llmsafety.metrics.kl import KL
from pytest_llmsafety.models.load import load_model
from pytest_llmsafety.specs import CompressionSpec, Margins, ModelPair, ModelSpec
from pytest_llmsafety.types import TextItem
from tests.stand_ins.measurements import measurement
from tests.stand_ins.random_models import VOCABULARY, letter_tokenizer, random_model

TEXTS = [f"{n} cats sat on {n % 7} mats" * (1 + n % 2) for n in range(40)]
ITEMS = tuple(TextItem(f"t{n}", text) for n, text in enumerate(TEXTS))


def diverged(per_token, n=60, mass=1.0, read=1.0):
    """A measurement of `n` texts of ten tokens that all diverge by as much."""
    made = measurement(
        [0.0] * n,
        [10 * per_token] * n,
        name="kl",
        weight=10.0,
        support=(0.0, math.inf),
        measures="divergence",
    )
    figures = (Figure("mass named", mass, mass), Figure("tokens read", read, read))
    return dataclasses.replace(made, figures=figures)


def test_nats_per_token_are_held_against_the_margin():
    """0.03 nats per token are within 0.05 and beyond 0.02; what is shown is per token."""
    verdict = assert_kl(diverged(0.03, n=240), margin=0.05)
    assert (verdict.dense, verdict.compressed) == (0.0, pytest.approx(0.03))
    assert verdict.decision.estimate == pytest.approx(0.03)
    with pytest.raises(SafetyFailure):
        assert_kl(diverged(0.03), margin=0.02)


def test_few_texts_do_not_decide():
    """Nine texts without any divergence are no proof."""
    with pytest.raises(SafetyInconclusive):
        assert_kl(diverged(0.0, n=9), margin=0.05)


def test_a_lower_bound_is_called_one():
    """Where tokens lie in the rest, or texts were read in part, the notes say so."""
    assert assert_kl(diverged(0.0), margin=0.05).notes == (
        "all items were asked: stopping early needs a change of known range",
    )
    bound, part, _ = assert_kl(diverged(0.0, mass=0.9, read=0.25), margin=0.05).notes
    assert "lower bound" in bound
    assert "90.00%" in bound
    assert "25.00% of all tokens" in part


def test_other_measurements_are_refused():
    """Perplexity has the same range of scores, so a metric has to state that it is a divergence."""
    for measures in ("", "perplexity"):
        made = measurement([1.0], [1.0], support=(0.0, math.inf), measures=measures)
        with pytest.raises(ConfigurationError, match=r'measure\("kl"\)'):
            assert_kl(made, margin=0.1)


def test_the_margin_of_the_command_line_counts():
    """A margin that was set for `kl` replaces the suite's."""
    made = dataclasses.replace(
        diverged(0.03), settings=Settings(margins=Margins(flags=(("kl", 0.02),)))
    )
    with pytest.raises(SafetyFailure):
        assert_kl(made, margin=0.05)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny Llama on disk."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    random_model("llama").save_pretrained(folder)
    letter_tokenizer().save_pretrained(folder)
    return folder


def lazy(folder, top, cache):
    """The forty texts under int4, not asked yet, with the dense model also asked twice."""
    pair = ModelPair(ModelSpec(str(folder), device="cpu"), CompressionSpec.parse("int4"))
    question = Question("kl", "made-up", ITEMS, KL(top, max_tokens=24))
    return LazyMeasurement(question, pair, Engine(Cache(cache)), Settings(noise_floor=True))


def exact(folder, text):
    """KL in nats, summed over the places of a text, from all logits of both models."""
    from pytest_llmsafety.compressors import compress

    ids = torch.tensor([letter_tokenizer()(text)["input_ids"][:-1][:24]])
    models = [load_model(folder, dtype="float32", device="cpu") for _ in range(2)]
    compress(models[1], CompressionSpec.parse("int4"), tokenizer=letter_tokenizer())
    with torch.no_grad():
        p, q = (model(ids).logits[0].double().log_softmax(-1) for model in models)
    return float((p.exp() * (p - q)).sum()), float((p.argmax(-1) == q.argmax(-1)).double().mean())


def test_two_models_are_as_far_apart_as_all_their_logits_say(folder, tmp_path):
    """From both models through the cache, text by text: the KL of a computation in one piece."""
    made = lazy(folder, VOCABULARY, tmp_path / "cache.db").all()
    assert made.problems == ()
    for pair in made.pairs[:6]:
        nats, agreed = exact(folder, pair.item.prompt)
        assert nats > 0.01
        assert pair.values == (0.0, pytest.approx(nats, abs=1e-4))
        assert dict(pair.compressed.parts)["agreement"] == pytest.approx(agreed)
    assert sum(pair.compressed.value for pair in made.replica) < 1e-3
    again = lazy(folder, VOCABULARY, tmp_path / "cache.db")
    assert again.all().pairs == made.pairs
    assert again._engine.forward_passes == 0


def test_fewer_tokens_see_less_of_it(folder):
    """A bound from eight tokens lies below the whole KL, for every text and both in order."""
    whole, few = lazy(folder, VOCABULARY, None).all(), lazy(folder, 8, None).all()
    for one, other in zip(few.pairs, whole.pairs, strict=True):
        assert one.item == other.item
        assert 0 < one.compressed.value < other.compressed.value
        assert one.compressed.weight == other.compressed.weight

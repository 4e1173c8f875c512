"""kv: a cache of keys and values that is rounded when it is written."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import DynamicCache

from pytest_llmsafety.compressors import check, compress
from pytest_llmsafety.compressors.methods.kv_cache import Places, affine
from pytest_llmsafety.compressors.runtime import cache_name, exact
from pytest_llmsafety.errors import (
    ConfigurationError,
    GroupSizeError,
    ModelError,
    NothingCompressed,
    UnknownNameError,
    UnsupportedModelError,
)
from pytest_llmsafety.inference.backends.base import BackendSettings
from pytest_llmsafety.inference.backends.hf import HuggingFaceBackend
from pytest_llmsafety.models.identity import Platform, arm_identity
from pytest_llmsafety.specs import Arm, CompressionSpec, ModelSpec
from pytest_llmsafety.types import Generate, Loglikelihood
from tests.stand_ins.random_models import letter_tokenizer, random_model

PROMPTS = (
    "Once upon a time there was",
    "Once upon a time there were two of them",
    "Hi",
    "The quick brown fox jumps over the lazy",
)
OPTIONS = (" yes", " yet another", " no", "!")
DOCUMENT = "a document that is longer than what the model reads at once: " * 2
SCORED = [Loglikelihood(p, o) for p in PROMPTS for o in OPTIONS] + [Loglikelihood("", DOCUMENT)]
WRITTEN = [Generate(p, 9) for p in PROMPTS] + [
    Generate(p, 5, temperature=1.0, top_p=0.9, n=2, key=p) for p in PROMPTS
]
KIVI = "kv:int2:kivi:g4:residual=8"
FAMILIES = ["bloom", "gemma2", "gpt2", "llama", "mistral", "mixtral", "opt", "qwen3"]
IDS = [5, 9, 70, 31, 2, 44, 18, 60, 7, 7, 12, 90, 33, 41, 3, 8, 25, 16, 77, 50, 6, 29]


def logits(model, ids=tuple(IDS), cache=None):
    """What the model says after each token, behind what `cache` holds."""
    named = {} if cache is None else {cache_name(model): cache}
    with torch.no_grad():
        return model(input_ids=torch.tensor([list(ids)]), **named).logits[0]


def answers(model, *, tokens=None, padding="right", sharing=True):
    """Likelihoods and texts of all requests, in order."""
    backend = HuggingFaceBackend.of(
        model, letter_tokenizer(), BackendSettings(batch_tokens=tokens), padding=padding
    )
    backend.decoder.shares &= sharing
    backend.decoder.rides &= sharing
    found = dict(pair for batch in backend.answer([*SCORED, *WRITTEN]) for pair in batch)
    return [found[index] for index in range(len(SCORED) + len(WRITTEN))]


def shares_and_rides(model):
    """Whether the engine shares beginnings, and puts several endings into one row."""
    decoder = HuggingFaceBackend.of(model, letter_tokenizer()).decoder
    return decoder.shares, decoder.rides


def assert_same(one, other):
    """The same likelihoods to 1e-4 nats, and the same texts."""
    for a, b in zip(one, other, strict=True):
        if hasattr(a, "texts"):
            assert a.texts == b.texts
        else:
            assert math.isclose(a.logprob, b.logprob, abs_tol=1e-4)


@pytest.mark.filterwarnings("ignore")  # of transformers about its own slow paths
@pytest.mark.parametrize(
    ("family", "spec"),
    [(name, "kv:int4") for name in FAMILIES]
    + [(name, KIVI) for name in ("gpt2", "llama", "opt", "qwen3")]
    + [("llama", "kv:int2:g4"), ("gpt2", "kv:int8")],
)
def test_answers_do_not_depend_on_how_the_work_is_split(family, spec):
    """Batches, padding on either side, shared beginnings, whole texts: one answer."""
    model = random_model(family)
    dense, rides = answers(model), shares_and_rides(model)[1]
    compress(model, spec)
    together = answers(model)
    assert_same(together, answers(model, tokens=1))
    assert_same(together, answers(model, padding="left", tokens=60))
    assert_same(together, answers(model, sharing=False))
    assert shares_and_rides(model) == (True, rides and "kivi" not in spec)
    pairs = zip(dense, together, strict=True)
    moved = [a.logprob - b.logprob for a, b in pairs if not hasattr(a, "texts")]
    assert sum(abs(by) > 1e-3 for by in moved) > len(moved) / 2


@pytest.mark.parametrize("spec", ["kv:int4", KIVI])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_one_pass_sees_what_token_by_token_sees(family, spec):
    """Logits of a text in one pass are those of a decoding loop, and of transformers' generate."""
    model = random_model(family)
    compress(model, spec)
    whole, cache = logits(model), DynamicCache()
    steps = [logits(model, [token], cache=cache)[-1] for token in IDS]
    assert torch.allclose(torch.stack(steps), whole, atol=1e-4)
    ids = torch.tensor([IDS[:10]])
    written = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False, pad_token_id=0
    )[0]
    best = logits(model, written.tolist()).argmax(-1)
    assert written[10:].tolist() == best[9:-1].tolist()


def test_everything_is_read_rounded():
    """Keys and values in the cache lie on 16 steps for each token and head."""
    model = random_model("llama")
    compress(model, "kv:int4")
    cache = DynamicCache()
    logits(model, cache=cache)
    for layer in cache.layers:
        for states in (layer.keys, layer.values):
            assert torch.allclose(affine(states, 4, dim=-1), states, atol=1e-5)
            assert not torch.allclose(affine(states, 2, dim=-1), states, atol=1e-3)


def test_kivi_reads_its_own_block_as_it_is():
    """Inside the first block the dense model answers; from the next one on it does not."""
    model = random_model("llama")
    dense = logits(model)
    compress(model, KIVI)
    found = logits(model)
    assert torch.allclose(found[:8], dense[:8], atol=1e-4)
    assert (found[8:] - dense[8:]).abs().amax(-1).min() > 1e-3


def test_kivi_is_attention_over_rounded_and_plain_keys():
    """One layer agrees with arithmetic: rounded keys of finished blocks, plain own ones."""
    torch.manual_seed(0)
    keys, values, asking = torch.randn(3, 1, 1, 12, 8)
    from pytest_llmsafety.compressors.methods.kv_cache import RoundedCache

    rounding = RoundedCache(2, 4, 4, 4)
    rounding.places = Places.of(torch.ones(1, 12), 4, 4)
    both_keys = torch.cat([rounding.along_tokens(keys), keys], 2)
    both_values = torch.cat([rounding.along_channels(values), values], 2)
    found = torch.nn.functional.scaled_dot_product_attention(
        asking, both_keys, both_values, attn_mask=rounding.places.mask(12, torch.float32)
    )
    for t in range(12):
        start = t // 4 * 4
        old = keys[0, 0, :start].reshape(-1, 4, 8)
        low, step = old.amin(1, keepdim=True), (old.amax(1) - old.amin(1))[:, None] / 3
        read = torch.cat([(((old - low) / step).round() * step + low).reshape(-1, 8)])
        read = torch.cat([read, keys[0, 0, start : t + 1]])
        read_values = torch.cat(
            [affine(values[0, 0, :start].reshape(-1, 2, 4), 2, dim=-1).reshape(-1, 8)]
        )
        read_values = torch.cat([read_values, values[0, 0, start : t + 1]])
        weights = (asking[0, 0, t] @ read.T / 8**0.5).softmax(-1)
        assert torch.allclose(found[0, 0, t], weights @ read_values, atol=1e-5)


@pytest.mark.parametrize(
    ("spec", "bits"),
    [("kv:int4", 8.0), ("kv:int8:g4", 16.0), ("kv:int2:g2", 18.0), ("kv:int4:kivi:g4", 12.0)],
)
def test_record_names_the_cache_and_counts_scales(spec, bits):
    """32 bits of scale and offset a group; the weights are as they were."""
    model = random_model("llama")
    record = compress(model, spec)
    assert record.cache_bits == bits
    assert record.layers_changed == ("cache.0", "cache.1", "cache.2")
    assert (record.bits, record.bytes_after) == (32, record.bytes_before)
    assert "keys and values are read in" in record.notes[0]
    both = compress(random_model("llama"), f"nf4+{spec}")
    assert (both.bits, both.cache_bits) == (4.5, bits)


def test_the_digest_of_an_arm_names_the_cache():
    """Another spec of the cache is another arm, whose answers are stored apart."""
    model, platform = ModelSpec("phantom"), Platform("hf", "float32", "cpu")
    specs = [None, *map(CompressionSpec.parse, ("kv:int4", "kv:int2", "kv:int4:kivi"))]
    digests = {arm_identity(Arm(model, spec), None, platform=platform).digest() for spec in specs}
    assert len(digests) == 4


def test_rounding_can_be_paused():
    """Inside `exact` the dense model answers, through the same cache."""
    for spec in ("kv:int2", KIVI):
        model = random_model("llama")
        dense = logits(model)
        compress(model, spec)
        with exact(model):
            assert torch.allclose(logits(model), dense, atol=1e-5)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("kv", "word is missing"),
        ("kv:4", "kv:int8 or kv:int4"),
        ("kv:int4:residual=32", "Write kv:int4:residual=32:kivi"),
        ("kv:int4:kivi:residual=40", "residual=128"),
        ("kv:int4+int8", "come last"),
    ],
)
def test_a_wrong_spec_is_refused_before_any_work(spec, words):
    """The error says what to write."""
    with pytest.raises(ConfigurationError, match=words):
        check(CompressionSpec.parse(spec))


@pytest.mark.parametrize(
    ("family", "spec", "error"),
    [
        ("mamba", "kv:int4", UnsupportedModelError),
        ("bloom", KIVI, UnsupportedModelError),
        ("mistral", KIVI, UnsupportedModelError),
        ("llama", "kv:int4:g3", GroupSizeError),
    ],
)
def test_what_cannot_be_rounded_is_refused(family, spec, error):
    """The model stays the dense one."""
    model = random_model(family)
    dense = logits(model)
    with pytest.raises(error):
        compress(model, spec)
    assert torch.equal(logits(model), dense)


def test_a_group_that_does_not_fit_lists_those_that_do():
    """The error lists what divides the 8 channels of a head."""
    with pytest.raises(
        GroupSizeError, match=r"100 does not divide the 8 .*g8 or g4 or g2, or none"
    ):
        compress(random_model("llama"), "kv:int8:g100")


@pytest.mark.parametrize("given", ["kv_int4", "kvint4", "kv-int4"])
def test_a_spelling_of_the_cache_is_not_mistaken_for_the_weights(given):
    """A misspelled kv:int4 is answered with kv:int4, and not with int4."""
    with pytest.raises(UnknownNameError, match="Did you mean 'kv:int4'"):
        check(CompressionSpec.parse(given))


def test_blocks_longer_than_any_text_round_nothing():
    """No value is rounded then, and that is an error."""
    with pytest.raises(NothingCompressed):
        compress(random_model("llama"), "kv:int4:kivi:residual=64")


def test_a_cache_that_others_filled_is_refused():
    """Its keys are not rounded, so the model does not go on from it."""
    model, cache = random_model("llama"), DynamicCache()
    logits(model, cache=cache)
    compress(model, "kv:int4")
    with pytest.raises(ModelError, match="filled DynamicCache"):
        logits(model, cache=cache)

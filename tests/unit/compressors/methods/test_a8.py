"""a8, a8-static and llm.int8: the inputs of layers in 8 bits while the model runs."""

from __future__ import annotations

import math

import pytest
import torch

from pytest_llmsafety.compressors import compress
from pytest_llmsafety.compressors.methods.a8 import PerTensor, per_token
from pytest_llmsafety.compressors.runtime import exact
from pytest_llmsafety.errors import CalibrationError, ConfigurationError
from pytest_llmsafety.inference.backends.base import BackendSettings
from pytest_llmsafety.inference.backends.hf import HuggingFaceBackend
from pytest_llmsafety.types import Generate, Loglikelihood
from tests.stand_ins.random_models import letter_tokenizer, random_model

FAMILIES = ["llama", "gpt2", "opt", "gpt_neox", "qwen3", "falcon"]
STATIC = "a8-static:nsamples=3:seqlen=12"
TEXTS = [[(5 * row + 3 * column) % 96 for column in range(12)] for row in range(3)]


def logits(model, ids=(1, 9, 4, 7, 30, 2, 50, 8)):
    """What the model says after each token."""
    with torch.no_grad():
        return model(torch.tensor([list(ids)])).logits[0]


@pytest.mark.parametrize("spec", ["a8", STATIC, "llm.int8"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_of_the_blocks_is_reached(family, spec):
    """The record lists them all, the logits move a little, and 8 bits are written down."""
    model = random_model(family)
    dense = logits(model)
    record = compress(model, spec, calibration=TEXTS)
    layers = [name for name, _ in model.named_modules() if name in set(record.layers_changed)]
    assert len(layers) == len(record.layers_changed) >= 8
    change = float((logits(model) - dense).norm() / dense.norm())
    assert 1e-4 < change < 0.3
    assert record.activation_bits == 8
    assert "inputs of layers in int8" in record.notes[0]


@pytest.mark.filterwarnings("ignore")  # of transformers about its own slow paths
def test_a_note_names_layers_whose_inputs_cannot_be_rounded():
    """Mamba multiplies with the weights of dt_proj itself; they are rounded all the same."""
    record = compress(random_model("mamba"), "llm.int8")
    assert "backbone.layers.0.mixer.dt_proj" in record.layers_changed
    assert "2 layers (backbone.layers.0.mixer.dt_proj, ...) are in int8" in record.notes[-1]
    assert not any("dt_proj" in note for note in compress(random_model("llama"), "llm.int8").notes)


@pytest.mark.parametrize("spec", ["a8", STATIC, "llm.int8", "int8+a8"])
def test_no_cache_is_needed(monkeypatch, spec):
    """Classes of transformers that fail with their own cache (Bailing, Kimi) are reached, too."""
    model = random_model("llama")
    forward = model.forward

    def without_cache(*args, use_cache=None, **named):
        if use_cache is not False:
            message = "get_seq_length can only be called on Attention layers"
            raise ValueError(message)
        return forward(*args, use_cache=use_cache, **named)

    monkeypatch.setattr(model, "forward", without_cache)
    assert len(compress(model, spec, calibration=TEXTS).layers_changed) == 21


def test_weights_and_sizes_are_left_alone():
    """a8 changes no weight, and after int8 the record keeps what int8 saved."""
    model = random_model("llama")
    weight = model.model.layers[0].mlp.up_proj.weight.clone()
    alone = compress(model, "a8")
    assert torch.equal(model.model.layers[0].mlp.up_proj.weight, weight)
    assert (alone.bits, alone.bytes_after) == (32, alone.bytes_before)
    both = compress(random_model("llama"), "int8+a8")
    weights = compress(random_model("llama"), "int8")
    assert (both.bits, both.bytes_after) == (weights.bits, weights.bytes_after)
    assert both.activation_bits == 8
    assert weights.activation_bits is None


def test_a_token_is_rounded_on_its_own():
    """A token has 255 levels up to its largest value, whatever its neighbours are."""
    rows = torch.tensor([[1.0, -0.5, 0.003, 0.0], [100.0, 1.0, -127.0, 0.6]])
    found = per_token(rows)
    assert found[0].tolist() == pytest.approx([1, -64 / 127, 0, 0])
    assert found[1].tolist() == pytest.approx([100, 1, -127, 1])
    assert torch.equal(per_token(rows[:1]), found[:1])
    assert not per_token(torch.zeros(2, 3)).any()


def test_large_inputs_are_kept():
    """From the threshold on a value stays as it is, and the others get the whole grid."""
    row = torch.tensor([[0.1, -6.0, 60.123, 1.27]])
    found = per_token(row, 6.0)
    assert found[0, 1:3].tolist() == row[0, 1:3].tolist()
    assert found[0, [0, 3]].tolist() == pytest.approx([0.1, 1.27])
    assert per_token(row)[0, 0] == 0


def test_a_scale_is_learned_with_momentum():
    """It follows the largest magnitudes; then it stays, and larger inputs are cut off."""
    rule = PerTensor()
    rule(torch.tensor([127.0, -3.0]))
    rule(torch.tensor([254.0]))
    assert float(rule.scale) == pytest.approx(0.9 + 0.1 * 2)
    rule.learning = False
    found = rule(torch.tensor([1000.0, -1000.0, 1.0]))
    assert found.tolist() == pytest.approx([127 * 1.1, -128 * 1.1, 1.1])


def test_nan_stays_nan():
    """A token of NaN stays NaN, and its neighbours stay finite."""
    rows = torch.tensor([[1.0, float("nan")], [1.0, 2.0]])
    assert per_token(rows)[0].isnan().all()
    assert per_token(rows)[1].isfinite().all()


def test_rounding_can_be_paused():
    """Inside `exact` the dense model answers."""
    model = random_model("llama")
    dense = logits(model)
    compress(model, "a8")
    with exact(model):
        assert torch.equal(logits(model), dense)
    assert not torch.equal(logits(model), dense)


def test_llm_int8_rounds_weights_by_row():
    """255 levels a row; with threshold=0 no input is kept."""
    model = random_model("gpt2")
    before = model.transformer.h[0].mlp.c_fc.weight.clone()
    record = compress(model, "llm.int8:threshold=0")
    weight = model.transformer.h[0].mlp.c_fc.weight
    assert torch.equal(weight, per_token(before.T.contiguous()).T)
    assert record.bits == pytest.approx(8.375)
    assert "as they are" not in record.notes[-1]


def test_static_needs_calibration_and_says_so():
    """Too few tokens raise CalibrationError; a8 itself needs none."""
    with pytest.raises(CalibrationError, match="Expected 9"):
        compress(random_model("llama"), "a8-static:nsamples=9:seqlen=12", calibration=TEXTS)
    record = compress(random_model("llama"), STATIC, calibration=TEXTS)
    assert dict(record.calibration)["nsamples"] == "3"
    with pytest.raises(ConfigurationError, match="seed"):
        compress(random_model("llama"), "a8@seed=1")


@pytest.mark.parametrize("spec", ["a8", STATIC, "llm.int8:threshold=2"])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_answers_do_not_depend_on_the_batch(family, spec):
    """Likelihoods and texts are the same together or alone, with shared beginnings or without."""
    prompts = ["Once upon a time there was", "Once upon a time there were two", "Hi", "The fox"]
    scored = [Loglikelihood(p, o) for p in prompts for o in (" yes", " yet another", "!")]
    written = [Generate(p, 6) for p in prompts]
    tokenizer, model = letter_tokenizer(), random_model(family)
    compress(model, spec, calibration=TEXTS)
    found = []
    for settings, padding in (
        (BackendSettings(), "right"),
        (BackendSettings(batch_tokens=1), "left"),
    ):
        backend = HuggingFaceBackend.of(model, tokenizer, settings, padding=padding)
        assert backend.decoder.rides
        answers = dict(pair for batch in backend.answer([*scored, *written]) for pair in batch)
        found.append([answers[index] for index in range(len(scored) + len(written))])
    for one, other in zip(*found, strict=True):
        if hasattr(one, "texts"):
            assert one.texts == other.texts
        else:
            assert math.isclose(one.logprob, other.logprob, abs_tol=1e-6)

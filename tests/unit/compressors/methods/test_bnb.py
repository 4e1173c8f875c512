"""bnb: modules of bitsandbytes for GPUs, as far as they can be tested without one."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from pytest_llmsafety.compressors import check, compress
from pytest_llmsafety.compressors.layerwise.layers import all_layers, decoder_blocks
from pytest_llmsafety.compressors.methods.bnb import bits_of, bitsandbytes, replace_module
from pytest_llmsafety.compressors.methods.fourbit import BLOCK, dequantize_blocks
from pytest_llmsafety.compressors.parameters import Values
from pytest_llmsafety.errors import ConfigurationError, UnsupportedModelError
from pytest_llmsafety.specs import CompressionSpec
from tests.stand_ins.random_models import random_model

INSTALLED = importlib.util.find_spec("bitsandbytes") is not None
needs_library = pytest.mark.skipif(not INSTALLED, reason="needs the extra bnb")
IDS = torch.tensor([[5, 9, 70, 31, 2, 44, 18, 60]])


@pytest.mark.parametrize("spec", ["bnb:nf4", "bnb:llm.int8"])
def test_without_library_or_gpu_nothing_happens(spec):
    """The error says what to install, or which spec does the same on a CPU."""
    model = random_model("llama")
    before = model.model.layers[0].mlp.up_proj
    words = f"Write {spec.removeprefix('bnb:')}:" if INSTALLED else r"pytest-llmsafety\[bnb\]"
    with pytest.raises(UnsupportedModelError, match=words):
        compress(model, spec)
    assert model.model.layers[0].mlp.up_proj is before


@pytest.mark.parametrize("spec", ["bnb:llm.int8:double", "bnb:nf4:threshold=6", "bnb"])
def test_a_parameter_of_the_other_kind_is_refused(spec):
    """Double scales belong to 4 bits, a threshold to LLM.int8()."""
    with pytest.raises(ConfigurationError):
        check(CompressionSpec.parse(spec))


def test_bits_count_float32_scales():
    """Half a bit a weight in 4 bits, one scale a row in 8."""
    layer = all_layers(decoder_blocks(random_model("llama")))[0]
    assert bits_of(layer, Values(choice="nf4")) == 4.5
    assert bits_of(layer, Values(choice="nf4", flags=frozenset({"double"}))) < 4.13
    assert bits_of(layer, Values(choice="llm.int8")) == 9


@needs_library
@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("choice", ["nf4", "fp4"])
def test_their_four_bit_modules_hold_our_weights(family, choice):
    """Replaced on the CPU, Linear and Conv1D, their codes stand for our values bit for bit."""
    ours, theirs = random_model(family), random_model(family)
    compress(ours, choice)
    values = Values(choice=choice)
    expected = [layer.weight for layer in all_layers(decoder_blocks(ours))]
    for layer, weight in zip(all_layers(decoder_blocks(theirs)), expected, strict=True):
        replace_module(theirs, layer, bitsandbytes(), values)
        made = theirs.get_submodule(layer.name).weight
        codes = torch.stack([made.data >> 4, made.data & 15], -1).reshape(-1).long()
        table = made.quant_state.code
        stored = dequantize_blocks(codes, made.quant_state.absmax, table, BLOCK)
        assert torch.equal(stored, weight.reshape(-1))


@needs_library
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_their_eight_bit_modules_answer_nearly_as_ours(family):
    """Inputs in float16 and columns kept for a whole batch make a small difference."""
    ours, theirs = random_model(family), random_model(family)
    with torch.no_grad():
        dense = ours(IDS).logits
    compress(ours, "llm.int8")
    for layer in all_layers(decoder_blocks(theirs)):
        replace_module(theirs, layer, bitsandbytes(), Values(choice="llm.int8"))
    with torch.no_grad():
        one, other = ours(IDS).logits, theirs(IDS).logits
    assert float((one - other).norm()) < 2 * float((one - dense).norm())

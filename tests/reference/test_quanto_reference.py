"""Our dequantized weights against optimum-quanto's own quantized modules."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from optimum.quanto import freeze, quantize
from transformers import LlamaConfig, LlamaForCausalLM

from pytest_llmsafety.compressors import compress
from pytest_llmsafety.compressors.methods.quanto import quantize as quantized_weight
from pytest_llmsafety.compressors.methods.quanto import unpack


@pytest.fixture
def llama():
    """A tiny Llama with random weights."""
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
    )
    return LlamaForCausalLM(config).eval()


@pytest.mark.parametrize(("spec", "qtype"), [("int8", "qint8"), ("float8", "qfloat8")])
def test_eight_bit_model_is_the_same_function(llama, spec, qtype):
    """In float32 the logits equal those of quanto's frozen model bit for bit."""
    theirs = copy.deepcopy(llama)
    quantize(theirs, weights=qtype, exclude="lm_head")
    freeze(theirs)
    compress(llama, spec)
    ids = torch.arange(30)[None]
    with torch.no_grad():
        assert torch.equal(llama(ids).logits, theirs(ids).logits)


@pytest.mark.parametrize(("qtype", "bits"), [("qint4", 4), ("qint2", 2)])
@pytest.mark.parametrize("inputs", [64, 128, 384, 96])
def test_low_bit_weight_is_the_affine_grid(qtype, bits, inputs):
    """Each group of inputs is rounded to 2^bits steps between its smallest and largest weight."""
    torch.manual_seed(2)
    weight = torch.randn(8, inputs)
    ours = quantized_weight(weight.clone(), qtype)
    groups = weight.numpy().reshape(-1, ours.group_size or inputs)
    low, high = groups.min(1, keepdims=True), groups.max(1, keepdims=True)
    scale = (high - low) / (2**bits - 1)
    grid = np.round((groups - low) / scale) * scale + low
    assert np.allclose(ours.values.numpy(), grid.reshape(8, inputs), atol=1e-6)


def test_unpack_reverses_quantos_packing():
    """Codes packed by quanto come back in order, also when rows do not fill the last byte."""
    from optimum.quanto.tensor.packed import pack_weights

    for bits in (2, 4):
        codes = torch.randint(0, 2**bits, (7, 5), dtype=torch.uint8)
        assert torch.equal(unpack(pack_weights(codes, bits), bits)[:7], codes)

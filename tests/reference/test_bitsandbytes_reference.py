"""NF4, FP4 and LLM.int8() against bitsandbytes, where the extra is installed."""

from __future__ import annotations

import pytest
import torch

from pytest_llmsafety.compressors.methods.a8 import per_token
from pytest_llmsafety.compressors.methods.fourbit import (
    BLOCK_OF_SCALES,
    Float4,
    NormalFloat4,
    dynamic_table,
    on_table,
    quantize_blocks,
)

bitsandbytes = pytest.importorskip("bitsandbytes", reason="needs the extra bnb")
functional = bitsandbytes.functional

TABLES = {"nf4": NormalFloat4().table(), "fp4": Float4().table()}
SHAPES = [(64, 192), (33, 50), (3, 7), (300, 513), (192, 512)]
ODD = [(32, 32), (64, 96)]  # where their kernel for CPUs reads back other values than it wrote


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_four_bits_are_theirs(kind, shape, dtype):
    """Quantized and dequantized weights agree bit for bit."""
    torch.manual_seed(0)
    weight = (torch.randn(shape) / 10).to(dtype)
    code, state = functional.quantize_4bit(weight, quant_type=kind, blocksize=64)
    theirs = functional.dequantize_4bit(code, state)
    assert torch.equal(on_table(weight, TABLES[kind]).to(dtype), theirs)


@pytest.mark.parametrize("shape", [*SHAPES, *ODD], ids=str)
@pytest.mark.parametrize("kind", TABLES)
def test_codes_and_scales_are_theirs(kind, shape):
    """The largest magnitudes are theirs, and every code stands for the value that theirs does."""
    torch.manual_seed(0)
    weight = torch.randn(shape) / 10
    packed, state = functional.quantize_4bit(weight, quant_type=kind, blocksize=64)
    theirs = torch.stack([packed >> 4, packed & 15], -1).reshape(-1)[: weight.numel()]
    codes, scales = quantize_blocks(weight, TABLES[kind], 64)
    assert torch.equal(scales, state.absmax)
    assert torch.equal(TABLES[kind][codes], state.code[theirs.long()])


def test_scales_of_scales_are_theirs_up_to_their_shortcut():
    """Their CPU kernel puts a few scales in a thousand on the second-nearest value, ours none."""
    assert torch.equal(dynamic_table(), functional.create_dynamic_map())
    torch.manual_seed(0)
    scales = torch.randn(20_000) / 10
    theirs, state = functional.quantize_blockwise(scales, blocksize=BLOCK_OF_SCALES)
    ours, largest = quantize_blocks(scales, dynamic_table(), BLOCK_OF_SCALES)
    assert torch.equal(largest, state.absmax)
    apart = (ours - theirs.long()).abs()
    assert int(apart.max()) <= 1
    assert float((apart > 0).double().mean()) < 0.005


@pytest.mark.parametrize("threshold", [0.0, 6.0])
def test_llm_int8_is_theirs_token_by_token(threshold):
    """One layer, one token at a time: the same numbers to the rounding of float16.

    Their constant for 1/127/127 is 2e-5 too large, and they round inputs to float16 first.
    """
    torch.manual_seed(0)
    weight = (torch.randn(48, 96) / 10).half().float()
    inputs = torch.randn(20, 96).half().float()
    inputs[:, 5] *= 8
    inputs[3, 7] = 30
    ours = per_token(inputs, threshold) @ per_token(weight).T
    codes, scales, _ = functional.int8_vectorwise_quant(weight.half())
    assert torch.allclose(codes * scales[:, None] / 127, per_token(weight), atol=1e-6)
    for row, expected in zip(inputs, ours, strict=True):
        coded, scale, large = functional.int8_vectorwise_quant(
            row[None].half(), threshold=threshold
        )
        product = (coded.float() * scale / 127) @ (codes.float() * scales[:, None] / 127).T
        if large is not None and large.numel():
            kept = torch.zeros_like(coded, dtype=torch.bool).index_fill(1, large, value=True)
            only = (coded.float() * scale / 127).masked_fill(kept, 0) + row * kept
            product = only @ (codes.float() * scales[:, None] / 127).T
        assert torch.allclose(product[0], expected, atol=1e-4)


@pytest.mark.filterwarnings("ignore:MatMul8bitLt")
def test_llm_int8_layer_of_theirs_agrees():
    """Their whole layer, one token at a time, within 1e-4 of the spread of its outputs."""
    torch.manual_seed(1)
    dense = torch.nn.Linear(96, 48)
    dense.weight.data = dense.weight.data.half().float()
    theirs = bitsandbytes.nn.Linear8bitLt(96, 48, has_fp16_weights=False, threshold=6.0)
    theirs.load_state_dict(dense.state_dict())
    theirs = theirs.to("cpu").eval()
    inputs = torch.randn(12, 96)
    inputs[::2, 5] *= 9
    inputs = inputs.half().float()
    with torch.no_grad():
        ours = torch.nn.functional.linear(
            per_token(inputs, 6.0), per_token(dense.weight), dense.bias
        )
        alone = torch.cat([theirs(row[None]) for row in inputs])
        together = theirs(inputs)
    assert float((ours - alone).abs().max() / ours.std()) < 1e-4
    assert float((ours - together).norm() / ours.norm()) < 0.01

"""NF4, FP4 and LLM.int8() against bitsandbytes, where the extra is installed."""

from __future__ import annotations

import pytest
import torch

from pytest_llmsafety.compressors.fourbit import (
    BLOCK_OF_SCALES,
    Float4,
    NormalFloat4,
    dynamic_table,
    on_table,
    quantize_blocks,
)

functional = pytest.importorskip("bitsandbytes.functional", reason="needs the extra bnb")

TABLES = {"nf4": NormalFloat4().table(), "fp4": Float4().table()}
SHAPES = [(64, 192), (33, 50), (3, 7), (300, 513), (192, 512)]


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

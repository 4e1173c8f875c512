"""Packed words against those of the packages that write them.

The digests are of qweight and qzeros that AutoGPTQ 0.7.1 (qlinear_cuda_old.QuantLinear.pack) and
AutoAWQ 0.2.9 (WQLinear_GEMM.from_linear) made of the layer below; their own dequantization gave
the layer back exactly, too.
"""

from __future__ import annotations

import hashlib

import pytest
import torch

from pytest_llmsafety.models.unpack import dense_weight
from tests.stand_ins.packed_checkpoints import awq_parts, gptq_parts

WIDTH, GROUPS = 32, 2
WRITTEN = {
    ("gptq", 2): "2b6b68b93059fdb924c0b990e11dd1010816900a80998671b57c993ff3fb0b90",
    ("gptq", 4): "a9a0c41e8429864a69fdfe4c40b65d16e74fe260af7166e8d0a0803b23664cc5",
    ("gptq", 8): "7b24ae46a12aeccecd51b7a07e502c73510a9ea3216fd9123d76170d0df536f1",
    ("awq", 4): "e88db1201583727ef36ee3841038adce689e357a3de6e8f0bc579c1f1fd3b0d3",
}


@pytest.mark.parametrize(("method", "bits"), WRITTEN)
def test_words_of_the_packages_are_read(method, bits):
    """The words are the packages' own, bit for bit, and stand for the weights that they packed."""
    row, column = torch.arange(WIDTH)[:, None], torch.arange(WIDTH)[None]
    found = (7 * row + 3 * column + row * column) % 2**bits
    group = torch.arange(GROUPS)[:, None]
    zeros = 1 + (group + column) % (2**bits - 1)
    scales = 2.0 ** -(1 + (group + column) % 4)
    parts = awq_parts(found, zeros) if method == "awq" else gptq_parts(found, zeros, bits)
    written = b"".join(part.contiguous().numpy().tobytes() for part in parts)
    assert hashlib.sha256(written).hexdigest() == WRITTEN[method, bits]
    stored = dict(zip(("qweight", "qzeros"), parts, strict=True), scales=scales, g_idx=None)
    size = WIDTH // GROUPS
    settings = {"quant_method": method, "bits": bits, "group_size": size}
    expected = (found - zeros.repeat_interleave(size, 0)) * scales.repeat_interleave(size, 0)
    assert torch.equal(dense_weight("layer", stored, settings), expected.T)

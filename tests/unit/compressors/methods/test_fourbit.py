"""nf4 and fp4: every weight on a table of 16 values, in blocks of 64."""

from __future__ import annotations

import hashlib

import pytest
import torch

from pytest_llmsafety.compressors import compress
from pytest_llmsafety.compressors.layerwise.layers import all_layers, decoder_blocks
from pytest_llmsafety.compressors.methods.fourbit import (
    NF4,
    Float4,
    NormalFloat4,
    dynamic_table,
    on_table,
)
from tests.stand_ins.random_models import random_model

TABLES = {"nf4": NormalFloat4().table(), "fp4": Float4().table()}
BITSANDBYTES = {  # SHA-256 of what bitsandbytes 0.50.2 makes of weights(), its beginning
    "nf4": "fd44e75299a84af8",
    "nf4:double": "7e68f415a749ab2a",
    "fp4": "b0ee20826db54f65",
    "fp4:double": "86bed7c94a0ecc27",
}


def weights():
    """24 rows of 200 weights, each row larger than the one before: 75 blocks."""
    row = (torch.arange(24 * 200) * 7919 % 2003 - 1001) / 1000
    return row.reshape(24, 200) * (1 + torch.arange(24) / 8)[:, None]


@pytest.mark.parametrize("spec", BITSANDBYTES)
def test_values_are_those_of_bitsandbytes(spec):
    """Bit for bit, with blocks that reach from one row into the next."""
    name, _, double = spec.partition(":")
    found = on_table(weights(), TABLES[name], double=bool(double)) + 0.0  # no negative zeros
    assert hashlib.sha256(found.numpy().tobytes()).hexdigest()[:16] == BITSANDBYTES[spec]


def test_a_last_block_may_be_short():
    """Seven weights have a scale of their own, and zeros stay zeros."""
    weight = torch.tensor([0.0, 2.0, -2.0, 1.5, 0.01, 0.0, -0.3])
    found = on_table(torch.cat([torch.zeros(64), weight]), TABLES["nf4"])
    assert not found[:64].any()
    assert found[64:].tolist() == pytest.approx([0, 2, -2, 2 * NF4[14], 0, 0, 2 * NF4[5]], abs=0.2)
    assert found[65] == 2


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_weight_gets_the_nearest_value(table):
    """No other value of the table is nearer."""
    weight = weights()
    scale = weight.reshape(-1, 64).abs().amax(1).repeat_interleave(64).reshape(weight.shape)
    best = (weight[..., None] - scale[..., None] * table).abs().amin(-1)
    assert torch.allclose((on_table(weight, table) - weight).abs(), best, atol=1e-6)


def test_scales_in_eight_bits_have_their_table():
    """256 different values in order, denser towards zero, not symmetric."""
    table = dynamic_table()
    assert table.unique().numel() == 256
    assert table.tolist() == sorted(table.tolist())
    assert (table[0], table[-1]) == pytest.approx((-0.99297, 1), abs=1e-5)


@pytest.mark.parametrize(("spec", "bits"), [("nf4", 4.5), ("fp4", 4.5), ("nf4:double", 4.127)])
@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "qwen2"])
def test_record_counts_the_scales(family, spec, bits):
    """Half a bit a weight for float32 scales of 64, an eighth in 8 bits (section 3)."""
    model = random_model(family)
    record = compress(model, spec)
    assert record.bits == pytest.approx(bits, abs=1e-3)
    assert len(record.layers_changed) == len(all_layers(decoder_blocks(model)))


def test_conv1d_is_cut_along_its_inputs():
    """GPT-2's transposed weights get the blocks that a Linear of the same matrix gets."""
    model = random_model("gpt2")
    weight = model.transformer.h[0].attn.c_attn.weight
    expected = on_table(weight.T.contiguous(), TABLES["nf4"])
    compress(model, "nf4")
    assert torch.equal(weight.T, expected)

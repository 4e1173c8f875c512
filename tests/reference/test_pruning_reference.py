"""Magnitude, Wanda and rounding to nearest against the authors' code (shared/golden)."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pytest_llmsafety.compressors import compress
from pytest_llmsafety.compressors.layer_compressor import LayerCompressor
from pytest_llmsafety.compressors.layerwise.layers import all_layers, decoder_blocks
from tests.reference.story_model import mean_nll
from tests.reference.story_model import stories as load_stories
from tests.reference.story_model import tokens as load_tokens

MASKS = {
    "magnitude_50": "magnitude:0.5:layer",
    "magnitude_2_4": "magnitude:2:4",
    "magnitude_4_8": "magnitude:4:8",
    "wanda_50": "wanda:0.5",
    "wanda_2_4": "wanda:2:4",
    "wanda_4_8": "wanda:4:8",
}
GRIDS = {
    "rtn_w4_g64": "rtn:4:g64",
    "rtn_w4_g64_sym": "rtn:4:g64:sym",
    "rtn_w3_channel": "rtn:3",
    "rtn_w8_channel": "rtn:8",
}


@pytest.fixture(scope="module")
def golden(shared):
    """The folder of stories3M's golden values."""
    return shared / "golden" / "compress" / "stories3M"


@pytest.fixture(scope="module")
def tokens(shared):
    """Calibration and evaluation token ids of stories3M."""
    return load_tokens(shared)


@pytest.fixture
def stories(shared):
    """The model, fresh for each test."""
    return load_stories(shared)


def assert_figures(model, name, golden, tokens):
    """Zeros and sums of every layer, logits, and NLL within the machine-readable tolerances."""
    expected = json.loads((golden / f"{name}.json").read_text())
    tolerance = json.loads((golden / "tolerances.json").read_text())[name]
    for layer in all_layers(decoder_blocks(model)):
        row = expected["per_layer"][layer.name]
        weight = layer.weight.double()
        assert int((weight == 0).sum()) == row["zeros"]
        assert float(weight.abs().sum()) == pytest.approx(row["abs_sum"], rel=1e-9)
    with torch.no_grad():
        logits = model(tokens["logits_ids"].long()).logits[0][tokens["logits_pos"].long()]
    theirs = load_file(golden / f"{name}.safetensors")["logits"]
    assert float((logits - theirs).abs().max()) <= tolerance["max_abs_logit"]
    nll = mean_nll(model, tokens["eval_ids"])
    assert abs(nll - expected["eval"]["mean_nll"]) <= tolerance["eval_mean_nll_abs"]


@pytest.mark.parametrize("name", MASKS)
def test_masks_are_the_authors(name, stories, golden, tokens):
    """Every zero is where the authors' code puts it; surviving weights keep their bits."""
    dense = {n: w.clone() for n, w in stories.state_dict().items()}
    compress(stories, MASKS[name], calibration=tokens["calib_ids"].tolist())
    for key, packed in load_file(golden / f"{name}.safetensors").items():
        if key.startswith("mask."):
            weight = stories.get_submodule(key[5:]).weight
            zero = np.unpackbits(packed.numpy())[: weight.numel()].astype(bool)
            mask = torch.from_numpy(zero).reshape(weight.shape)
            expected = dense[f"{key[5:]}.weight"].masked_fill(mask, 0)
            assert torch.equal(weight, expected)
    assert_figures(stories, name, golden, tokens)


@pytest.mark.parametrize("name", GRIDS)
def test_rounded_weights_are_the_authors(name, stories, golden, tokens):
    """Scale times (code - zero point) of the authors' quantizer, bit for bit."""
    compress(stories, GRIDS[name])
    stored = load_file(golden / f"{name}.safetensors")
    for key in [key for key in stored if key.startswith("codes.")]:
        layer = key[6:]
        group = stored[f"g_idx.{layer}"].long()
        scale, zero = stored[f"scale.{layer}"][:, group], stored[f"zero.{layer}"][:, group]
        weight = stories.get_submodule(layer).weight
        assert torch.equal(weight, scale * (stored[key].float() - zero))
    assert_figures(stories, name, golden, tokens)


def test_input_norms_are_wandas_scaler_row(stories, golden, tokens, monkeypatch):
    """The mean square of each layer's inputs agrees with the authors' to rounding."""
    seen = []
    solve_block = LayerCompressor._solve_block

    def spy(self, block, found, values, amounts):
        seen.extend((name, one.squares.clone()) for name, one in found.items())
        return solve_block(self, block, found, values, amounts)

    monkeypatch.setattr(LayerCompressor, "_solve_block", spy)
    compress(stories, "wanda:0.5", calibration=tokens["calib_ids"].tolist())
    stored = load_file(golden / "wanda_50.safetensors")
    assert len(seen) == 42
    for name, squares in seen:
        assert torch.allclose(squares, stored[f"scaler_row.{name}"], rtol=1e-4, atol=1e-6)

"""SparseGPT on tiny models: which weights go, how many, and smaller errors than Wanda."""

from __future__ import annotations

import pytest
import torch

from pytest_llmsafety.compressors import check, compress
from pytest_llmsafety.compressors.layerwise.compensation import Hessian
from pytest_llmsafety.compressors.layerwise.layers import Layer, all_layers, decoder_blocks
from pytest_llmsafety.compressors.methods.sparsegpt import SparseGpt
from pytest_llmsafety.compressors.parameters import Values
from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.specs import CompressionSpec
from tests.stand_ins.random_models import VOCABULARY, random_model

FAMILIES = ["llama", "qwen2", "qwen3", "mistral", "gemma", "gpt2", "opt", "phi", "gpt_neox"]
IDS = torch.randint(VOCABULARY, (4, 24), generator=torch.Generator().manual_seed(0)).tolist()


def distance(family, spec):
    """How far a compression moves the logits of a tiny model on its own calibration."""
    model, ids = random_model(family), torch.tensor(IDS)
    with torch.no_grad():
        dense = model(ids).logits
        compress(model, spec, calibration=IDS)
        return float((model(ids).logits - dense).norm())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("spec", "share"), [("sparsegpt:0.5", 0.5), ("sparsegpt:4:8", 0.5)])
def test_every_layer_of_every_family_loses_its_share(family, spec, share):
    """All layers change, and the given share is zero, at most one a block more."""
    model = random_model(family)
    record = compress(model, spec, calibration=IDS)
    layers = all_layers(decoder_blocks(model))
    assert len(record.layers_changed) == len(layers)
    for layer in layers:
        zeros = int((layer.weight == 0).sum()) - share * layer.weight.numel()
        assert 0 <= zeros <= layer.weight.shape[1] // 128 + 1


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_two_of_four_neighbours_go(family):
    """2:4 leaves two of every four neighbouring inputs, in Conv1D as well."""
    model = random_model(family)
    compress(model, "sparsegpt:2:4", calibration=IDS)
    for layer in all_layers(decoder_blocks(model)):
        kept = (layer.weight != 0).unflatten(1, (-1, 4)).sum(2)
        assert set(kept.flatten().tolist()) == {2}


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen3"])
@pytest.mark.parametrize("amount", ["0.5", "2:4"])
def test_it_moves_the_logits_less_than_wanda(family, amount):
    """The logits are nearer to the dense ones, because later weights make up for errors."""
    assert distance(family, f"sparsegpt:{amount}") < distance(family, f"wanda:{amount}")


def test_without_correlated_inputs_it_prunes_by_input_norm_and_moves_nothing():
    """With a diagonal Hessian the lowest |weight| * norm go, and the others stay as they are."""
    chance = torch.Generator().manual_seed(1)
    layer = Layer("layer", torch.nn.Linear(8, 6, bias=False))
    statistics = Hessian(layer)
    statistics.add(torch.diag(torch.rand(8, generator=chance) + 0.5), 1)
    weight = torch.randn(6, 8, generator=chance)
    solved = SparseGpt().solve(weight.clone(), statistics, Values(sparsity=0.5)).weight
    norms = statistics.matrix.diagonal() + 0.01 * statistics.matrix.diagonal().mean()
    scores = weight.abs() * norms.sqrt()
    assert torch.allclose(solved[solved != 0], weight[solved != 0])
    assert int((solved == 0).sum()) == 25  # half of 48, and the threshold itself
    assert scores[solved == 0].max() < scores[solved != 0].min()


def test_a_smaller_block_has_thresholds_of_its_own():
    """With block=16 every 16 inputs of a layer lose half of their weights."""
    model = random_model("llama")
    compress(model, "sparsegpt:0.5:block=16", calibration=IDS)
    for layer in all_layers(decoder_blocks(model)):
        for columns in layer.weight.split(16, dim=1):
            assert int((columns == 0).sum()) == columns.numel() // 2 + 1


def test_damping_changes_what_is_left():
    """Another damp= gives other weights; a bad value of it is refused before any model is read."""
    assert distance("llama", "sparsegpt:0.5:damp=0.01") != distance("llama", "sparsegpt:0.5:damp=1")
    with pytest.raises(ConfigurationError, match="block has to be a whole number from 1"):
        check(CompressionSpec.parse("sparsegpt:0.5:block=0"))

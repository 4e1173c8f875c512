"""GBLM: gradients block by block, and the scores made of them."""

from __future__ import annotations

import pytest
import torch

from pytest_llmsafety.compressors import compress
from pytest_llmsafety.compressors.base import Context
from pytest_llmsafety.compressors.layerwise.gradients import gradient_sizes
from pytest_llmsafety.compressors.layerwise.layers import all_layers, decoder_blocks, is_conv1d
from pytest_llmsafety.compressors.methods.wanda import InputNorms
from pytest_llmsafety.errors import CalibrationError
from tests.stand_ins.random_models import FAMILIES, VOCABULARY, random_model

IDS = torch.randint(3, VOCABULARY, (3, 12), generator=torch.Generator().manual_seed(1))
DENSE = [name for name in FAMILIES if name not in ("mamba", "mixtral")]


def whole_backward(model, ids, power):
    """The same sums by one backward pass through the whole model for each sequence."""
    layers = all_layers(decoder_blocks(model))
    sums = {layer.name: torch.zeros(layer.weight.shape) for layer in layers}
    for row in ids:
        model.zero_grad()
        model(input_ids=row[None], labels=row[None]).loss.backward()
        for layer in layers:
            gradient = layer.module.weight.grad
            gradient = gradient.T if is_conv1d(layer.module) else gradient
            sums[layer.name] += gradient.abs().pow(power)
    model.zero_grad()
    return sums


@pytest.mark.parametrize("device", [None, "cpu:0"])
@pytest.mark.parametrize("family", DENSE)
def test_gradients_block_by_block_are_those_of_the_whole_model(family, device):
    """Going back block by block gives what one backward pass gives, blocks moved (cpu:0) or not."""
    model = random_model(family)
    expected = whole_backward(model, IDS, 1)
    found = gradient_sizes(model, decoder_blocks(model), IDS, Context(device=device), power=1)
    assert found.keys() == expected.keys()
    for name, total in expected.items():
        assert torch.allclose(found[name], total, rtol=1e-3, atol=1e-5 * float(total.max()))


def test_gradients_leave_the_model_as_it_was():
    """Mode, weights, .grad and requires_grad are the same afterwards."""
    model = random_model("gpt2").train()
    layers = all_layers(decoder_blocks(model))
    layers[0].module.weight.requires_grad_(requires_grad=False)
    before = [layer.working_copy() for layer in layers]
    gradient_sizes(model, decoder_blocks(model), IDS, Context(), power=2)
    assert model.training
    assert not layers[0].module.weight.requires_grad
    assert layers[1].module.weight.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(a, layer.weight) for a, layer in zip(before, layers, strict=True))


@pytest.mark.parametrize(("spec", "power", "scale"), [("", 1, 100), (":l2:scale=7", 2, 7)])
@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "phi"])
def test_the_lowest_scores_of_each_row_go(family, spec, power, scale):
    """Every row of the first block loses half, and no kept score is below a pruned one."""
    model = random_model(family)
    block = decoder_blocks(model)[0]
    sums = whole_backward(model, IDS, power)
    norms, dense = {}, {layer.name: layer.working_copy() for layer in block.layers}
    for layer in block.layers:
        norms[layer.name] = InputNorms(layer)
        layer.module.register_forward_pre_hook(
            lambda _, args, name=layer.name: norms[name].add(
                args[0].reshape(-1, args[0].shape[-1]), 3
            )
        )
    model(IDS)
    frozen = {name: one.squares.clone() for name, one in norms.items()}
    record = compress(model, f"gblm:0.5{spec}", calibration=IDS.tolist())
    assert record.sparsity == pytest.approx(0.5)
    assert dict(record.calibration)["nsamples"] == "3"
    for layer in block.layers:
        sizes = sums[layer.name].pow(1 / power) * scale
        scores = dense[layer.name].abs() * (frozen[layer.name].sqrt() + sizes)
        gone = layer.weight == 0
        assert (gone.sum(dim=1) == layer.inputs // 2).all()
        kept = scores.masked_fill(gone, torch.inf).amin(dim=1)
        assert (scores.masked_fill(~gone, 0).amax(dim=1) <= kept * (1 + 1e-3)).all()
        assert torch.equal(layer.weight[~gone], dense[layer.name][~gone])


def test_patterns_and_allocations_work():
    """2:4 leaves two of every four; alpha gives blocks different shares."""
    model = random_model("llama")
    compress(model, "gblm:2:4", calibration=IDS.tolist())
    for layer in all_layers(decoder_blocks(model)):
        assert ((layer.weight == 0).reshape(layer.outputs, -1, 4).sum(dim=2) == 2).all()
    record = compress(random_model("llama"), "gblm:0.5:alpha", calibration=IDS.tolist())
    assert len({zeros for _, _, zeros in record.layers}) > 1


def test_gradients_that_overflow_are_refused_before_any_change():
    """A model whose loss is not finite keeps its weights and can be used."""
    model = random_model("llama")
    model.lm_head.weight.data.fill_(torch.inf)
    before = model.model.layers[0].mlp.up_proj.weight.clone()
    with pytest.raises(CalibrationError, match=r"gradients of .* are NaN or Inf"):
        compress(model, "gblm:0.5", calibration=IDS.tolist())
    assert torch.equal(model.model.layers[0].mlp.up_proj.weight, before)
    model(IDS)

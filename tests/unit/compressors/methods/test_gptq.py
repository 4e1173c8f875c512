"""GPTQ on tiny models: grids, orders, stored bits, and smaller errors than rounding."""

from __future__ import annotations

import pytest
import torch

from pytest_llmsafety.compressors import check, compress
from pytest_llmsafety.compressors.layerwise.compensation import Hessian
from pytest_llmsafety.compressors.layerwise.grid import find_grid
from pytest_llmsafety.compressors.layerwise.layers import Layer, all_layers, decoder_blocks
from pytest_llmsafety.compressors.methods.gptq import Gptq, bits_of
from pytest_llmsafety.compressors.parameters import Values
from pytest_llmsafety.errors import ConfigurationError, GroupSizeError
from pytest_llmsafety.specs import CompressionSpec
from tests.stand_ins.random_models import VOCABULARY, random_model

FAMILIES = ["llama", "qwen2", "qwen3", "mistral", "gemma", "gpt2", "opt", "phi", "gpt_neox"]
IDS = torch.randint(VOCABULARY, (4, 24), generator=torch.Generator().manual_seed(0)).tolist()
CHANCE = torch.Generator().manual_seed(2)
WEIGHT = torch.randn(6, 32, generator=CHANCE)


def statistics(inputs):
    """The Hessian of some inputs [tokens, 32]."""
    found = Hessian(Layer("layer", torch.nn.Linear(32, 6, bias=False)))
    found.add(inputs, 1)
    return found


def distance(family, spec):
    """How far a compression moves the logits of a tiny model on its own calibration."""
    model, ids = random_model(family), torch.tensor(IDS)
    with torch.no_grad():
        dense = model(ids).logits
        compress(model, spec, calibration=IDS)
        return float((model(ids).logits - dense).norm())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("spec", ["gptq:3", "gptq:4:g16:actorder", "gptq:8:sym"])
def test_every_layer_of_every_family_is_rounded(family, spec):
    """All layers change, and no output or group has more values than there are codes."""
    model = random_model(family)
    record = compress(model, spec, calibration=IDS)
    layers = all_layers(decoder_blocks(model))
    assert len(record.layers_changed) == len(layers)
    if "g16" not in spec:
        bits = int(spec.split(":")[1])
        assert all(len(row.unique()) <= 2**bits for layer in layers for row in layer.weight)


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen3"])
@pytest.mark.parametrize("amount", ["3", "4:g16", "3:sym"])
def test_it_moves_the_logits_less_than_rounding_to_nearest(family, amount):
    """The logits are nearer to the dense ones, because later weights make up for errors."""
    assert distance(family, f"gptq:{amount}") < distance(family, f"rtn:{amount}")


@pytest.mark.parametrize("flags", [(), ("actorder",), ("actorder", "static"), ("sym",)])
@pytest.mark.parametrize("group_size", [None, 16])
def test_without_correlated_inputs_it_rounds_to_nearest(flags, group_size):
    """With H = 1 nothing can be made up for: every weight goes to the nearest value."""
    values = Values(bits=4, group_size=group_size, flags=frozenset(flags))
    solved = Gptq().solve(WEIGHT.clone(), statistics(torch.eye(32)), values).weight
    symmetric = "sym" in flags
    groups = WEIGHT.split(group_size or 32, dim=1)
    nearest = [find_grid(group, 4, symmetric=symmetric).rounded(group) for group in groups]
    assert torch.allclose(solved, torch.cat(nearest, dim=1))


def test_static_groups_keep_the_grids_of_the_dense_weight():
    """With static every group is on the grid that rounding to nearest would use."""
    found = statistics(torch.randn(64, 32, generator=CHANCE) * torch.arange(1, 33))
    flags = frozenset(("actorder", "static"))
    solved = Gptq().solve(WEIGHT.clone(), found, Values(3, group_size=8, flags=flags)).weight
    for ours, dense in zip(solved.split(8, dim=1), WEIGHT.split(8, dim=1), strict=True):
        assert torch.allclose(find_grid(dense, 3).rounded(ours), ours, atol=1e-6)


def test_groups_may_be_larger_than_blocks_and_lie_across_them():
    """Groups of 16 with blocks of 16, 24 or 128 inputs are each on a grid of at most 8 values."""
    found = statistics(torch.randn(64, 32, generator=CHANCE))
    for block in (16, 24, 128):
        values = Values(3, group_size=16, keys=(("block", block),))
        solved = Gptq().solve(WEIGHT.clone(), found, values).weight
        for group in solved.split(16, dim=1):
            assert all(len(row.unique()) <= 8 for row in group)


def test_stored_bits_count_scales_zero_points_and_scattered_groups():
    """A group costs a scale and a zero point; inputs of groups in another order cost 32 bits."""
    actorder = frozenset(["actorder"])
    assert bits_of(64, 128, Values(4)) == 4 + 20 / 128
    assert bits_of(64, 128, Values(4, group_size=32, flags=frozenset(["sym"]))) == 4.5
    assert bits_of(64, 128, Values(4, group_size=32, flags=actorder)) == 4 + 20 / 32 + 0.5
    assert bits_of(64, 128, Values(4, flags=actorder)) == 4 + 20 / 128
    static = frozenset(["actorder", "static"])
    assert bits_of(64, 128, Values(4, group_size=32, flags=static)) == 4 + 20 / 32


def test_the_record_has_the_stored_bits():
    """The record counts codes and grids, and not the dense weights that they stand for."""
    record = compress(random_model("llama"), "gptq:4:g16", calibration=IDS)
    assert record.bits == pytest.approx(4 + 20 / 16)
    assert record.bytes_after < record.bytes_before


def test_static_without_groups_is_refused():
    """The error says that there are no groups, and shows the spec with a group size."""
    with pytest.raises(ConfigurationError, match=r"Give a group size too: gptq:4:static:g128\."):
        check(CompressionSpec.parse("gptq:4:static"))


def test_a_group_size_that_does_not_divide_is_refused():
    """No layer changes when the group size does not divide every layer's inputs."""
    with pytest.raises(GroupSizeError, match="the group size 7 does not divide"):
        compress(random_model("gpt2"), "gptq:4:g7", calibration=IDS)

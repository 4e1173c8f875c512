"""AWQ: scales are folded away, and the two searches find what costs least."""

from __future__ import annotations

from contextlib import closing

import pytest
import torch

from pytest_llmsafety.compressors import compress
from pytest_llmsafety.compressors.layerwise.folding import folds
from pytest_llmsafety.compressors.layerwise.layers import Layer, all_layers, decoder_blocks
from pytest_llmsafety.compressors.layerwise.walk import walk
from pytest_llmsafety.compressors.methods.awq import (
    InputSample,
    batch_size,
    best_limits,
    cost,
    cost_of_one,
    round_in_groups,
    watched,
)
from pytest_llmsafety.compressors.parameters import Values
from pytest_llmsafety.errors import GroupSizeError
from tests.stand_ins.random_models import FAMILIES, VOCABULARY, random_model

CHANCE = torch.Generator().manual_seed(5)
IDS = torch.randint(3, VOCABULARY, (4, 12), generator=CHANCE)
DENSE = [name for name in FAMILIES if name not in ("mamba", "mixtral")]
GATED = [("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"), ("down_proj",)]
FOLDED = {
    "gemma": GATED,
    "gpt2": [("c_attn",), ("c_proj",), ("c_fc",)],
    "gpt_neox": [("query_key_value",), ("dense_h_to_4h",)],
    "llama": GATED,
    "mpt": [("Wqkv",), ("out_proj",), ("up_proj",)],
    "opt": [("k_proj", "v_proj", "q_proj"), ("out_proj",), ("fc1",), ("fc2",)],
    "phi": [("q_proj", "k_proj", "v_proj", "fc1"), ("dense",)],
    "phi3": [("qkv_proj",), ("gate_up_proj",), ("down_proj",)],
    "qwen2": GATED,
}


def with_biases(family):
    """A random model whose norms and biases are not ones and zeros."""
    model = random_model(family)
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data += torch.randn(len(parameter), generator=CHANCE) / 5
    return model


def visits(model):
    """The blocks of a model in their turn."""
    return closing(walk(model, decoder_blocks(model), IDS, batch_size=2))


@pytest.mark.parametrize("family", FOLDED)
def test_scales_fold_where_the_block_allows_it(family):
    """The groups that share scales are as expected, by the last part of their names."""
    with torch.no_grad(), visits(with_biases(family)) as walked:
        found, left = folds(next(walked))
        names = [{layer.name.split(".")[-1] for layer in fold.layers} for fold in found]
        assert sorted(map(sorted, names)) == sorted(map(sorted, FOLDED[family]))
        total = sum(map(len, names)) + len(left)
        assert total == len(decoder_blocks(random_model(family))[0].layers)


@pytest.mark.parametrize("family", DENSE)
def test_folded_scales_leave_the_models_answers_as_they_are(family):
    """Random scales in every fold of every block change no logit beyond rounding."""
    model = with_biases(family)
    with torch.no_grad():
        expected = model(IDS).logits
        with visits(model) as walked:
            for visit in walked:
                for fold in folds(visit)[0]:
                    width = fold.layers[0].inputs
                    fold.apply(torch.rand(width, generator=CHANCE) * 2 + 0.25)
        off = (model(IDS).logits - expected).abs().max() / expected.abs().max()
    assert off < 2e-4


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "phi", "gemma2", "gpt_neox", "olmo2"])
def test_each_family_is_compressed_and_close_at_eight_bits(family):
    """All layers change and are counted with their scales; 8 bits answer almost as before."""
    model = with_biases(family)
    with torch.no_grad():
        expected = model(IDS).logits
    record = compress(model, "awq:8:g16", calibration=IDS.tolist())
    assert len(record.layers_changed) == len(all_layers(decoder_blocks(model)))
    assert record.bits == pytest.approx(8 + 24 / 16)
    with torch.no_grad():
        off = (model(IDS).logits - expected).norm() / expected.norm()
    assert off < 0.1
    assert any("layers are scaled" in note for note in record.notes)


def test_every_row_lies_on_few_values():
    """Two bits leave at most four values in a group of sixteen, clipped or not."""
    for spec in ("awq:2:g16", "awq:2:g16:noclip"):
        model = random_model("llama")
        compress(model, spec, calibration=IDS.tolist())
        for layer in all_layers(decoder_blocks(model)):
            for group in layer.weight.reshape(-1, 16)[:64]:
                steps = group[group != 0].abs().min()
                assert len((group / steps).round().unique()) <= 4


def test_bits_by_layer_and_device_count(tmp_path):
    """alloc= gives one block 8 bits; a named device computes the same as none."""
    file = tmp_path / "a.json"
    file.write_text('{"model.layers.1": 8}')
    models = [random_model("qwen3"), random_model("qwen3")]
    for model, device in zip(models, (None, "cpu"), strict=True):
        spec = f"awq:3:g16:alloc={file}"
        record = compress(model, spec, calibration=IDS.tolist(), device=device)
        bits = {name.split(".")[2]: bits for name, bits, _ in record.layers}
        assert bits["1"] > 8 > bits["0"]
    a, b = (model.state_dict() for model in models)
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_limits_cost_no_more_than_none():
    """On inputs with one loud outlier weight the found limits lower the output's error."""
    weight = torch.randn(6, 32, generator=CHANCE)
    weight[:, 3] *= 4
    sample = torch.randn(100, 32, generator=CHANCE)
    values = Values(bits=3, group_size=16)
    limits = best_limits(weight, sample, values)
    assert limits.shape == (6, 2)
    groups = weight.view(6, 2, 16)
    clipped = groups.clamp(-limits[..., None], limits[..., None]).reshape(6, 32)

    def error(rounded):
        off = (rounded - weight).view(6, 2, 16)
        return torch.einsum("ogi,tgi->tog", off, sample.view(100, 2, 16)).pow(2).mean(dim=0)

    before = error(round_in_groups(weight.clone(), values))
    after = error(round_in_groups(clipped, values))
    assert (after <= before * (1 + 1e-4)).all()
    assert after.sum() < before.sum()


def test_one_layer_costs_the_same_by_its_answers_and_by_products_of_its_inputs():
    """Both ways to compute the cost of rounding a single layer give one number."""
    with torch.no_grad(), visits(random_model("llama")) as walked:
        visit = next(walked)
        fold = next(fold for fold in folds(visit)[0] if len(fold.layers) == 1)
        with watched(visit, [fold]) as judges:
            visit.statistics(lambda layer: InputSample(layer, IDS.numel()))
        dense, device = fold.layers[0].working_copy(), torch.device("cpu")
        assert len(judges[0].calls) == len(IDS) / 2
        rounded = round_in_groups(dense.clone(), Values(bits=3, group_size=8))
        by_answers = cost(fold, judges[0], device)([rounded])
        assert by_answers > 0
        assert cost_of_one(dense, judges[0], device)([rounded]) == pytest.approx(by_answers)
        assert torch.equal(fold.layers[0].weight, dense)


def test_sampled_tokens_are_equally_spaced_over_all_batches():
    """Every fourth of 2051 tokens is kept, wherever the batches are cut."""
    layer = Layer("a", torch.nn.Linear(3, 2))
    rows = torch.arange(2051.0)[:, None].expand(-1, 3)
    seen = InputSample(layer, 2051)
    for part in torch.split(rows, 173):
        seen.add(part, 1)
    assert torch.equal(seen.sample, rows[::4])
    assert torch.allclose(seen.mean_size, rows.mean(dim=0))


def test_batches_divide_the_sequences_and_stay_small():
    """32 of 128 tokens go at once, 6 of 2048 by twos, 3 of 9000 one by one."""
    assert batch_size(32, 128) == 32
    assert batch_size(6, 2048) == 2
    assert batch_size(3, 9000) == 1


def test_a_group_size_that_does_not_divide_is_refused():
    """32 does not divide the 48 inputs of down_proj."""
    with pytest.raises(GroupSizeError, match="32"):
        compress(random_model("llama"), "awq:4:g32", calibration=IDS.tolist())

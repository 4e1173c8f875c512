"""DSnoT: exchanges of pruned for kept weights, after any step that prunes layer by layer."""

from __future__ import annotations

import pytest
import torch

from pytest_llmsafety.compressors import check, compress
from pytest_llmsafety.compressors.layerwise.layers import Layer, all_layers, decoder_blocks
from pytest_llmsafety.compressors.layerwise.masks import lowest_of_groups, lowest_of_rows
from pytest_llmsafety.compressors.methods.dsnot import (
    InputMoments,
    Limits,
    as_published,
    evenly,
    field_of,
)
from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.specs import CompressionSpec
from tests.stand_ins.random_models import VOCABULARY, random_model

CHANCE = torch.Generator().manual_seed(3)
IDS = torch.randint(3, VOCABULARY, (3, 12), generator=CHANCE).tolist()


@pytest.fixture
def layer():
    """A layer of 8 rows and 128 inputs that are not centred, with the moments of 4 sequences."""
    linear = torch.nn.Linear(128, 8, bias=False)
    linear.weight.data = torch.randn(8, 128, generator=CHANCE)
    moments = InputMoments(Layer("a", linear))
    offset = torch.randn(128, generator=CHANCE)
    inputs = torch.randn(4, 20, 128, generator=CHANCE) + offset
    inputs[..., 6] = 2.5
    for sequence in inputs:
        moments.add(sequence, 1)
    return linear.weight.detach(), moments, inputs


def weights(model):
    """A copy of each layer's weight by name."""
    return {layer.name: layer.working_copy() for layer in all_layers(decoder_blocks(model))}


def test_moments_are_means_over_sequences(layer):
    """Sum, sum of squares and variance within a sequence, each averaged over the sequences."""
    _, moments, inputs = layer
    assert torch.allclose(moments.sums, inputs.sum(dim=1).mean(dim=0), atol=1e-4)
    assert torch.allclose(moments.squares, inputs.square().sum(dim=1).mean(dim=0), rtol=1e-4)
    spread = inputs.var(dim=1, correction=0).mean(dim=0)
    assert torch.allclose(moments.variance, spread, atol=1e-5)


def test_even_exchanges_keep_each_row_and_shrink_its_error(layer):
    """As many zeros a row as before, and what the row lacks on average comes nearer to zero."""
    dense, moments, _ = layer
    gone = lowest_of_rows(dense.abs(), 0.5)
    field = field_of(dense, dense.masked_fill(gone, 0), moments)
    found = evenly(field, Limits())
    assert (found.sum(dim=1) == 64).all()
    assert not torch.equal(found, gone)
    after = (dense * moments.sums * found).sum(dim=1).abs()
    assert (after < field.error.abs().squeeze(1)).all()


def test_exchanges_of_a_pattern_stay_in_their_group(layer):
    """After 2:4 every four neighbours still hold two zeros, and some row lacks less."""
    dense, moments, _ = layer
    gone = lowest_of_groups(dense.abs(), 2, 4)
    field = field_of(dense, dense.masked_fill(gone, 0), moments)
    found = evenly(field, Limits(), neighbours=4)
    assert (found.reshape(8, 32, 4).sum(dim=2) == 2).all()
    after = (dense * moments.sums * found).sum(dim=1).abs()
    assert after.sum() < field.error.abs().sum()


def test_one_exchange_is_the_best_one(layer):
    """With one cycle a row revives the most helpful weight and loses the cheapest that helps."""
    dense, moments, _ = layer
    gone = lowest_of_rows(dense.abs(), 0.5)
    field = field_of(dense, dense.masked_fill(gone, 0), moments)
    found, even = as_published(field, Limits(cycles=1)), evenly(field, Limits(cycles=1))
    for row in range(8):
        sign = field.error[row].sign()
        [revived] = (gone[row] & ~found[row]).nonzero().flatten().tolist()
        [pruned] = (~gone[row] & found[row]).nonzero().flatten().tolist()
        worth = dense[row] * moments.sums / moments.variance * sign
        assert revived == int(worth.nan_to_num(nan=0.0).masked_fill(~gone[row], 0).argmax())
        score = dense[row].abs() * moments.squares.sqrt()
        helps = ~gone[row] & (dense[row] * moments.sums * sign < 0)
        assert pruned == int(score.masked_fill(~helps, torch.inf).argmin())
        assert torch.equal(even[row], found[row]) or torch.equal(even[row], gone[row])
    assert not torch.equal(even, gone)


@pytest.mark.parametrize("exchange", [as_published, evenly])
def test_an_input_that_is_always_zero_brings_no_nan(layer, exchange):
    """Its weights are worth nothing, and each row keeps 64 zeros besides those that were added."""
    dense, _, inputs = layer
    linear = torch.nn.Linear(128, 8)
    dead = InputMoments(Layer("a", linear))
    dead.add(inputs.reshape(-1, 128) * (torch.arange(128) != 5), 1)
    gone = lowest_of_rows(dense.abs(), 0.5)
    field = field_of(dense, dense.masked_fill(gone, 0), dead)
    assert not field.worth.isnan().any()
    found = exchange(field, Limits(cycles=5))
    assert (found[:, 5] | ~gone[:, 5]).all()
    assert (found.sum(dim=1) == 64).all()


@pytest.mark.parametrize("exchange", [as_published, evenly])
def test_rows_with_a_small_error_stay_as_they_are(layer, exchange):
    """A threshold above every error leaves the mask alone."""
    dense, moments, _ = layer
    gone = lowest_of_rows(dense.abs(), 0.5)
    field = field_of(dense, dense.masked_fill(gone, 0), moments)
    assert torch.equal(exchange(field, Limits(threshold=1e9)), gone)


@pytest.mark.parametrize(
    ("family", "spec"),
    [
        *((family, "wanda:0.5") for family in ("llama", "gpt2", "opt", "phi", "gpt_neox")),
        *((family, "magnitude:0.5:layer") for family in ("qwen2", "gpt2")),
        ("llama", "gblm:0.5"),
    ],
)
def test_any_pruning_step_is_repaired_in_its_attention(family, spec):
    """In the first block MLP layers stay as the step made them, and others swap weights."""
    dense = weights(random_model(family))
    pruned, repaired = random_model(family), random_model(family)
    compress(pruned, spec, calibration=IDS)
    record = compress(repaired, f"{spec}+dsnot:even", calibration=IDS)
    theirs = weights(pruned)
    swapped = 0
    for layer in decoder_blocks(repaired)[0].layers:
        weight, before = layer.weight, theirs[layer.name]
        assert torch.equal(weight[weight != 0], dense[layer.name][weight != 0])
        assert ((weight == 0).sum(dim=1) == (before == 0).sum(dim=1)).all()
        attention = "attn" in layer.name or "attention" in layer.name
        assert attention or torch.equal(weight, before)
        swapped += not torch.equal(weight, before)
    assert swapped
    assert record.method == f"{spec}+dsnot:even"
    assert ("even", "yes") in record.parameters
    assert dict(record.calibration)["nsamples"] == "3"


def test_all_and_the_published_walk_reach_every_layer():
    """`all` exchanges in MLP layers too, and narrow layers run out of candidates without error."""
    pruned, repaired = random_model("llama"), random_model("llama")
    compress(pruned, "wanda:0.5", calibration=IDS)
    compress(repaired, "wanda:0.5+dsnot:all:cycles=500", calibration=IDS)
    name = "model.layers.0.mlp.down_proj"
    assert not torch.equal(weights(pruned)[name], weights(repaired)[name])


@pytest.mark.parametrize(
    ("spec", "said"), [("wanda:0.5+dsnot", True), ("wanda:0.5+dsnot:even", False),
                       ("wanda:2:4+dsnot", False)],
)  # fmt: skip
def test_the_record_says_whose_walk_it_is(spec, said):
    """The authors' walk is noted with its risk; `even` and N:M need no note."""
    record = compress(random_model("llama"), spec, calibration=IDS)
    assert any("unequal numbers of zeros" in note for note in record.notes) == said


def test_patterns_survive():
    """wanda:2:4+dsnot is still 2:4 in every layer."""
    model = random_model("llama")
    compress(model, "wanda:2:4+dsnot:all", calibration=IDS)
    for layer in all_layers(decoder_blocks(model)):
        assert ((layer.weight == 0).reshape(layer.outputs, -1, 4).sum(dim=2) == 2).all()


def test_it_is_one_step_of_a_chain_and_counts_its_own_sequences():
    """A quantizer may follow; nsamples= of dsnot holds for the whole pass."""
    model = random_model("llama")
    record = compress(model, "magnitude:0.5+dsnot:nsamples=2+rtn:8", calibration=IDS)
    assert record.method == "magnitude:0.5+dsnot:nsamples=2+rtn:8"
    assert dict(record.calibration)["nsamples"] == "2"
    assert record.bits < 12
    assert record.sparsity > 0.45


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("dsnot", "there is none"),
        ("rtn:4+dsnot", "rtn:4 is none"),
        ("int8+dsnot", "int8 is none"),
        ("checkpoint:x+dsnot", "checkpoint:x is none"),
        ("wanda:0.5+dsnot+dsnot", "dsnot is none"),
        ("wanda:0.5:nsamples=4+dsnot:nsamples=4", "nsamples= was given twice"),
        ("wanda:0.5+dsnot:evn", "did you mean even"),
    ],
)
def test_it_is_refused_where_there_is_no_mask_to_repair(spec, words):
    """The error names the step before it."""
    with pytest.raises(ConfigurationError, match=words):
        check(CompressionSpec.parse(spec))

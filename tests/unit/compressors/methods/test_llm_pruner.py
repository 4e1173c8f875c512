"""LLM-Pruner on tiny random models: what goes, what stays, what is refused."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from pytest_llmsafety.compressors import compress
from pytest_llmsafety.compressors.methods.llm_pruner import gated_blocks, taylor
from pytest_llmsafety.errors import (
    AllocationError,
    CalibrationError,
    ConfigurationError,
    NonFiniteWeightsError,
    UnsupportedModelError,
)
from tests.stand_ins.random_models import random_model

IDS = [[1, *range(5 + row, 20 + row)] for row in range(4)]
WITH_HEADS = ("gemma", "gemma2", "gemma3", "granite", "llama", "mistral", "qwen2", "qwen3")
CHANNELS_ONLY = ("olmo2", "stablelm")
OTHERS = ("gpt2", "opt", "phi", "phi3", "gpt_neox", "mixtral", "mamba")


@pytest.fixture
def eight_heads():
    """A Llama whose 8 groups of heads cannot lose one: 7 does not divide the hidden size."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=64,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=8,
        num_key_value_heads=8,
    )
    return LlamaForCausalLM(config).eval()


def logits(model):
    """What the model answers to one sequence."""
    with torch.no_grad():
        return model(torch.tensor(IDS[:1])).logits


@pytest.mark.parametrize("family", WITH_HEADS + CHANNELS_ONLY)
@pytest.mark.parametrize("spec", ["llm-pruner:0.5", "llm-pruner:0.5:l1"])
def test_pruned_model_reloads_as_a_plain_one(family, spec, tmp_path):
    """save_pretrained and from_pretrained give the same logits from a smaller configuration."""
    model = random_model(family)
    record = compress(model, spec, calibration=IDS)
    model.save_pretrained(tmp_path)
    loaded, report = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    assert torch.equal(logits(loaded.eval()), logits(model))
    assert AutoConfig.from_pretrained(tmp_path).intermediate_size == 24
    keys = AutoConfig.from_pretrained(tmp_path).num_key_value_heads
    assert keys == (1 if family in WITH_HEADS else 2)
    assert record.bytes_after == sum(p.nbytes for p in model.parameters()) < record.bytes_before


@pytest.mark.parametrize("family", OTHERS)
def test_other_shapes_are_refused_before_any_change(family):
    """A model without separate q, k, v, o and a gated MLP is named and stays as it is."""
    model = random_model(family)
    before = logits(model)
    with pytest.raises(UnsupportedModelError, match=type(model).__name__):
        compress(model, "llm-pruner:0.2:l1")
    assert torch.equal(logits(model), before)


def test_dead_parts_go_and_nothing_changes():
    """Where half of all parts do nothing, the model without them gives the same logits."""
    model = random_model("qwen2")
    with torch.no_grad():
        for block in model.model.layers:
            block.self_attn.o_proj.weight[:, 16:] = 0  # of the second key
            block.self_attn.v_proj.weight[8:] = 0
            block.self_attn.v_proj.bias[8:] = 0
            for name in ("q_proj", "k_proj"):
                layer = getattr(block.self_attn, name)
                layer.weight[layer.out_features // 2 :] *= 1e-3
            block.mlp.down_proj.weight[:, ::2] = 0
            block.mlp.up_proj.weight[::2] = 0
    for spec in ("llm-pruner:0.5", "llm-pruner:0.5:l1"):
        pruned = random_model("qwen2")
        pruned.load_state_dict(model.state_dict())
        compress(pruned, spec, calibration=IDS)
        assert torch.allclose(logits(pruned), logits(model), atol=1e-4)


def test_taylor_is_weight_times_mean_gradient():
    """|weight x gradient| of one backward pass over all sequences at once, summed one by one."""
    model = random_model("llama")
    blocks, _ = gated_blocks(model)
    layers = [layer for block in blocks for layer in block.layers.values()]
    salience = taylor(model, layers, torch.tensor(IDS), lambda *_: None)
    model.requires_grad_(requires_grad=True)
    batch = torch.tensor(IDS)
    model(batch, labels=batch).loss.backward()
    for layer in layers:
        expected = (layer.module.weight * layer.module.weight.grad).abs()
        assert torch.allclose(salience[layer.name], expected, rtol=1e-4, atol=1e-7)


def test_parameters_want_gradients_as_before():
    """No gradient is left behind, and every parameter wants gradients as before."""
    for wanted in (False, True):
        model = random_model("mistral").requires_grad_(requires_grad=wanted)
        compress(model, "llm-pruner:0.3", calibration=IDS)
        assert all(parameter.requires_grad == wanted for parameter in model.parameters())
        assert all(parameter.grad is None for parameter in model.parameters())


def test_heads_stay_where_the_configuration_wants_them(eight_heads):
    """The configuration allows 4 or 8 of 8 heads, so none goes at 0.2; the record says so."""
    record = compress(eight_heads, "llm-pruner:0.2:l1")
    assert eight_heads.config.num_key_value_heads == 8
    assert "0 of 8 groups of heads" in record.notes[0]
    assert (
        "LlamaConfig cannot have 7 heads at width 64; shares of at least 0.5 remove 4 "
        in record.notes[1]
    )


def test_the_record_says_why_all_heads_stay(eight_heads):
    """What stayed is listed with share and reason: no such configuration, or a share too small."""
    record = compress(eight_heads, "llm-pruner:0.2:l1")
    assert {row[4] for row in record.kept if "self_attn" in row[0]} == {record.notes[1]}
    record = compress(random_model("llama"), "llm-pruner:0.2:l1")
    (reason,) = {row[4] for row in record.kept if "self_attn" in row[0]}
    assert "less than one of the 2 groups; shares of at least 0.5 remove 1 of the 2" in reason
    assert record.changed_body_share < 0.8
    assert compress(random_model("llama"), "llm-pruner:0.5:l1").changed_body_share > 0.9


def test_unsaved_removes_heads_that_no_file_can_express(eight_heads, tmp_path):
    """The model in memory loses the head, and transformers refuses to save it."""
    record = compress(eight_heads, "llm-pruner:0.2:l1:unsaved")
    assert "1 of 8 groups of heads" in record.notes[0]
    assert logits(eight_heads).isfinite().all()
    with pytest.raises(Exception, match="not a multiple of the number of attention heads"):
        eight_heads.save_pretrained(tmp_path)


def test_other_steps_follow():
    """Rounding and pruning by weight go on with the smaller model; the record has both."""
    model = random_model("llama")
    record = compress(model, "llm-pruner:0.5+rtn:4", calibration=IDS)
    assert record.bits < 8
    assert record.bytes_after < sum(p.nbytes for p in model.parameters()) < record.bytes_before


def test_record_names_what_was_looked_at():
    """Taylor importance has its calibration in the record; l1 has none and needs no texts."""
    assert dict(compress(random_model("llama"), "llm-pruner:0.2", calibration=IDS).calibration)
    record = compress(random_model("llama"), "llm-pruner:0.2:l1")
    assert record.calibration == ()
    assert record.notes[-1] == "9.8% of the model's parameters are gone"
    assert record.sparsity == 0


def test_more_than_the_parts_allow_is_refused():
    """Of two groups of heads one at most can go, so 0.99 is refused, and 0.5 is named."""
    model = random_model("qwen2")
    dense = logits(model)
    with pytest.raises(AllocationError, match=r"less than one of the 2 groups.*at most 0\.5\."):
        compress(model, "llm-pruner:0.99:l1")
    assert torch.equal(logits(model), dense)
    compress(model, "llm-pruner:0.5:l1")
    assert logits(model).isfinite().all()


def test_the_largest_share_works():
    """0.75 of four groups of heads leaves one, and the largest share in the message works."""
    config = LlamaConfig(
        vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=1,
        num_attention_heads=4, num_key_value_heads=4,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    with pytest.raises(AllocationError, match=r"at most 0\.75\."):
        compress(model, "llm-pruner:0.76:l1")
    compress(model, "llm-pruner:0.75:l1")
    assert (model.config.num_key_value_heads, model.config.intermediate_size) == (1, 12)


def test_heads_that_share_one_key_bound_no_share():
    """They are never removed, so of 48 channels all but one may go."""
    config = LlamaConfig(
        vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=1,
        num_attention_heads=4, num_key_value_heads=1,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    with pytest.raises(AllocationError, match=r"at most 0\.97\."):
        compress(model, "llm-pruner:0.99:l1")
    compress(model, "llm-pruner:0.97:l1")
    assert model.config.intermediate_size == 1


@pytest.mark.parametrize(
    ("spec", "error", "text"),
    [
        ("llm-pruner", ConfigurationError, "strength is missing"),
        ("llm-pruner:2:4", ConfigurationError, "outside"),
        ("llm-pruner:0", ConfigurationError, "removes nothing"),
        ("llm-pruner:1.5", ConfigurationError, "outside"),
        ("llm-pruner:0.2", CalibrationError, "tokenizer"),
    ],
)
def test_wrong_steps_are_refused(spec, error, text):
    """Nothing is changed when the step cannot be read or has nothing to look at."""
    with pytest.raises(error, match=text):
        compress(random_model("llama"), spec)


def test_weights_that_are_nan_are_named():
    """The first layer with NaN is in the error."""
    model = random_model("llama")
    model.model.layers[1].mlp.up_proj.weight.data[0, 0] = torch.nan
    with pytest.raises(NonFiniteWeightsError, match=r"layers\.1\.mlp"):
        compress(model, "llm-pruner:0.2:l1")

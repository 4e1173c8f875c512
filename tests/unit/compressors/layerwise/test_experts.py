"""Mixtures: every expert is treated as a Linear of its weights, and routers stay."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from pytest_llmsafety.compressors import compress
from pytest_llmsafety.compressors.layer_compressor import apply
from pytest_llmsafety.compressors.layerwise.experts import ROUTER, UNKNOWN, stacks
from pytest_llmsafety.compressors.layerwise.layers import decoder_blocks, experts_in
from pytest_llmsafety.compressors.methods.quanto import quantize
from pytest_llmsafety.compressors.parameters import read
from pytest_llmsafety.errors import UnsupportedModelError
from pytest_llmsafety.specs import CompressionSpec

SIZES = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
FAMILIES = {
    "mixtral": {"num_local_experts": 4},
    "qwen2_moe": {
        "num_experts": 4,
        "moe_intermediate_size": 48,
        "shared_expert_intermediate_size": 64,
        "decoder_sparse_step": 1,
    },
    "gpt_oss": {"num_local_experts": 4},
    "llama4_text": {
        "num_local_experts": 4,
        "intermediate_size_mlp": 64,
        "interleave_moe_layer_step": 1,
        "no_rope_layers": [1, 1],
    },
    "jetmoe": {"num_local_experts": 4, "kv_channels": 8},
    "dbrx": {
        "d_model": 32,
        "n_heads": 4,
        "n_layers": 2,
        "max_seq_len": 64,
        "ffn_config": {"ffn_hidden_size": 48, "moe_num_experts": 4, "moe_top_k": 2},
        "attn_config": {"kv_n_heads": 2, "clip_qkv": 8, "rope_theta": 1e4},
    },
}
METHODS = ("int8", "int4", "int2", "float8", "rtn:4", "rtn:3:g16", "nf4", "fp4:double", "llm.int8",
           "magnitude:0.5", "magnitude:2:4")  # fmt: skip


def mixture(family):
    """A tiny mixture with random weights, whose routers and norms differ from each other."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **SIZES, **FAMILIES[family])
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.02)
    return model


@pytest.fixture(scope="module")
def mixtures():
    """One mixture of each family."""
    return {family: mixture(family) for family in FAMILIES}


def test_the_layout_is_what_the_forward_pass_multiplies(mixtures):
    """Every matrix has the inputs that its block gives it: hidden or intermediate ones."""
    shapes = {
        family: {
            stack.leaf: tuple(next(experts_in(stack.module)).weight.shape)
            for stack in stacks(model)
        }
        for family, model in mixtures.items()
    }
    assert shapes["mixtral"]["gate_up_proj"] == (128, 32)
    assert shapes["gpt_oss"]["gate_up_proj"] == (128, 32)
    assert shapes["llama4_text"]["gate_up_proj"] == (128, 32)
    assert {stack.transposed for stack in stacks(mixtures["gpt_oss"])} == {True}
    assert {stack.transposed for stack in stacks(mixtures["mixtral"])} == {False}


@pytest.mark.parametrize(
    ("family", "method"),
    [
        *(("mixtral", method) for method in METHODS),
        *(("gpt_oss", method) for method in METHODS),
        *((family, "int4") for family in ("qwen2_moe", "llama4_text", "jetmoe", "dbrx")),
        *((family, "nf4") for family in ("qwen2_moe", "llama4_text", "jetmoe", "dbrx")),
    ],
)
def test_an_expert_is_rounded_as_a_linear_of_its_weights(mixtures, family, method):
    """Each matrix [out, in] of a stack becomes what the method makes of an equal Linear."""
    model = copy.deepcopy(mixtures[family])
    dense = [expert.weight.clone() for expert in experts_in(model)]
    record = compress(model, method)
    assert record.changed_body_share > 0.9
    for before, expert in zip(dense, experts_in(model), strict=True):
        assert torch.equal(expert.weight, as_linear(before, method))


def as_linear(weight, method):
    """What a method makes of one Linear, alone in a model of another kind."""
    step = CompressionSpec.parse(method).steps[0]
    if step.method in ("int8", "int4", "int2", "float8"):
        return quantize(weight, f"q{step.method}").values
    from pytest_llmsafety.compressors import compressor_for
    from pytest_llmsafety.compressors.layerwise.layers import Layer

    linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    linear.weight = torch.nn.Parameter(weight.clone(), requires_grad=False)
    layer, compressor = Layer("linear", linear), compressor_for(step)
    apply(layer, compressor.solve(layer.working_copy(), None, read(step, compressor.parameters)))
    return linear.weight


@pytest.mark.parametrize("method", ["int8", "rtn:4"])
@pytest.mark.parametrize("family", FAMILIES)
def test_routers_stay_and_are_listed(mixtures, family, method):
    """Routers keep their values, and the record says why."""
    model = copy.deepcopy(mixtures[family])
    record = compress(model, method)
    names = [name for name, why in record.layers_skipped if why == ROUTER]
    assert len(names) >= 2
    for name in names:
        old = mixtures[family].get_submodule(name).weight
        assert torch.equal(model.get_submodule(name).weight, old)
    assert any(row[4] == ROUTER for row in record.kept)


def test_all_experts_of_a_stack_are_one_row(mixtures):
    """The record has a row for a stack, not for each expert, with mean bits and zeros."""
    record = compress(copy.deepcopy(mixtures["mixtral"]), "magnitude:0.5")
    rows = {name: zeros for name, _, zeros in record.layers}
    assert rows["model.layers.0.mlp.experts.down_proj"] == pytest.approx(0.5)
    assert len(rows) == 2 * (4 + 2)


@pytest.mark.parametrize(
    "spec", ["gptq:4", "awq:4", "wanda:0.5", "a8", "llm-pruner:0.2", "magnitude:0.5:alpha"]
)
def test_what_needs_an_experts_inputs_refuses(mixtures, spec):
    """The error names the methods that reach experts, and what to do otherwise."""
    with pytest.raises(UnsupportedModelError, match=r"rtn, nf4.*llmcompressor:.*checkpoint:PATH"):
        compress(mixtures["mixtral"], spec, calibration=[[3] * 16] * 2)


def test_an_unknown_layout_is_left_and_counted(mixtures):
    """Experts whose matrices may lie either way stay dense, and are listed."""

    class OtherExperts(torch.nn.Module):
        def __init__(self, experts):
            super().__init__()
            self.gate_up_proj, self.down_proj = experts.gate_up_proj, experts.down_proj

    model = copy.deepcopy(mixtures["mixtral"])
    for block in model.model.layers:
        block.mlp.experts = OtherExperts(block.mlp.experts)
    record = compress(model, "int4")
    assert record.changed_body_share < 0.5
    assert [row[4] for row in record.kept[:2]] == [UNKNOWN] * 2
    assert not any(
        decoder_blocks(model, experts=True)[0].name in n
        for n, _, _ in record.layers
        if "experts" in n
    )

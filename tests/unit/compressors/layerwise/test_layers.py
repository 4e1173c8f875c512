"""Layers are found in every family, and a new weight gets into a layer."""

from __future__ import annotations

import pytest
import torch
import transformers

from pytest_llmsafety.compressors.layerwise.layers import all_layers, decoder_blocks, outside
from pytest_llmsafety.errors import NonFiniteWeightsError, UnsupportedModelError
from tests.stand_ins.random_models import LLAMA_LIKE, random_model

LLAMA = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LAYERS = {
    "llama": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA,
    "mistral": LLAMA,
    "gemma": LLAMA,
    "gpt2": ["c_attn", "c_proj", "c_fc", "c_proj"],
    "opt": ["k_proj", "v_proj", "q_proj", "out_proj", "fc1", "fc2"],
    "phi": ["q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2"],
    "gpt_neox": ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"],
}


@pytest.mark.parametrize("family", LAYERS)
def test_every_linear_of_the_blocks_is_found(family):
    """Each block has the layers of its family; the output embedding is outside."""
    model = random_model(family)
    blocks = decoder_blocks(model)
    assert len(blocks) == model.config.num_hidden_layers
    for block in blocks:
        assert sorted(layer.name.rpartition(".")[2] for layer in block.layers) == sorted(
            LAYERS[family]
        )
    left = dict(outside(model, blocks))
    reasons = dict.fromkeys(reason.partition(",")[0] for reason in left.values())
    assert list(reasons)[-1] == "output embedding"


def test_names_are_those_of_the_model():
    """A layer's name finds its module."""
    model = random_model("gpt2")
    for layer in all_layers(decoder_blocks(model)):
        assert model.get_submodule(layer.name) is layer.module


def test_conv1d_is_seen_as_outputs_by_inputs():
    """The view has one row for each output, and what is written to it is in the layer."""
    model = random_model("gpt2")
    layer = decoder_blocks(model)[0].layers[2]
    assert (layer.outputs, layer.inputs) == (128, 32)
    assert layer.module.weight.shape == (32, 128)
    new = layer.working_copy()
    new[5, 7] = 3
    assert layer.write(new)
    assert layer.module.weight[7, 5] == 3
    assert not layer.write(new)


def test_nan_is_never_written():
    """The layer keeps its weights when the new ones are not finite."""
    layer = decoder_blocks(random_model("llama"))[0].layers[0]
    before = layer.weight.clone()
    with pytest.raises(NonFiniteWeightsError, match=r"layers\.0\.self_attn\.q_proj would get NaN"):
        layer.write(before * float("nan"))
    assert torch.equal(layer.weight, before)


def test_a_mixture_of_experts_is_refused():
    """The error says what it is, why not, and what can be done."""
    with pytest.raises(UnsupportedModelError, match=r"mixture of experts.*checkpoint:PATH"):
        decoder_blocks(random_model("mixtral"))


@pytest.mark.parametrize(
    ("config", "arguments"),
    [
        ("DogeConfig", {"is_moe": False}),
        (
            "NemotronHConfig",
            {
                "layers_block_type": ["mlp", "full_attention", "linear_attention"],
                "mamba_num_heads": 4,
                "mamba_head_dim": 16,
                "ssm_state_size": 8,
                "n_groups": 1,
            },
        ),
    ],
)
def test_the_modules_say_whether_there_are_experts(config, arguments):
    """A dense model whose configuration counts experts that it lacks is compressed."""
    config = getattr(transformers, config)(**LLAMA_LIKE, **arguments)
    model = transformers.AutoModelForCausalLM.from_config(config)
    assert len(decoder_blocks(model)) == 3


def test_a_model_without_blocks_is_refused():
    """The error counts the lists that were found."""
    model = random_model("llama")
    model.model.layers = torch.nn.ModuleList()
    with pytest.raises(UnsupportedModelError, match="found none"):
        decoder_blocks(model)


def test_packed_weights_are_refused():
    """A layer whose weights are codes cannot be compressed further."""
    model = random_model("llama")
    codes = torch.nn.Parameter(torch.zeros(32, 32, dtype=torch.int8), requires_grad=False)
    model.model.layers[1].self_attn.q_proj.weight = codes
    with pytest.raises(UnsupportedModelError, match=r"layers\.1.*packed weights \(torch.int8\)"):
        decoder_blocks(model)

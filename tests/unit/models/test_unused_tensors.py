"""Tensors without a place in the model are an error that names them, except for a few kinds."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from pytest_llmsafety.errors import ModelError
from pytest_llmsafety.models.load import load_model
from pytest_llmsafety.models.model_folder import StoredTensor
from pytest_llmsafety.models.unused_tensors import may_be_left_out
from tests.stand_ins.random_models import random_model


def load(folder):
    """Load a folder as a run does."""
    return load_model(folder, dtype="float32", device="cpu")


def edited(folder, *, config=None, **more):
    """Put further tensors into a saved model, and change its configuration."""
    path = folder / "model.safetensors"
    save_file({**load_file(path), **more}, path, metadata={"format": "pt"})
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **(config or {})}))


@pytest.mark.parametrize(
    ("name", "config", "words"),
    [
        ("model.layers.0.mlp.up_proj.weight_scale", {}, "scales of codes"),
        ("model.layers.1.mlp.down_proj.bias", {}, "mlp_bias"),
        ("score.weight", {}, "reward model"),
        ("model.layers.1.extra.weight", {"num_hidden_layers": 1}, "num_hidden_layers = 1"),
        ("model.extra.weight", {}, "that config.json describes"),
    ],
)
def test_a_tensor_without_a_place_is_named(name, config, words, tmp_path):
    """Loading would leave it out, and another model would be judged."""
    random_model("llama").save_pretrained(tmp_path)
    edited(tmp_path, config=config, **{name: torch.ones(8)})
    with pytest.raises(ModelError, match=f"no place for .* of the files .*{words}"):
        load(tmp_path)


def test_a_bias_of_zeros_adds_nothing(tmp_path):
    """A bias of zeros in a layer that has none changes no answer."""
    random_model("llama").save_pretrained(tmp_path)
    edited(tmp_path, **{"model.layers.0.mlp.down_proj.bias": torch.zeros(8)})
    load(tmp_path)


def test_one_tensor_under_two_names_is_refused(tmp_path):
    """With and without the prefix it is the same tensor, of which only one can be used."""
    random_model("llama").save_pretrained(tmp_path)
    edited(tmp_path, **{"norm.weight": torch.ones(8)})
    with pytest.raises(ModelError, match=r"1 tensors twice \(norm.weight and model.norm.weight"):
        load(tmp_path)


def test_an_output_embedding_of_its_own_is_used(tmp_path):
    """Where config.json says tied and the files hold two different embeddings, both are used."""
    model = random_model("llama")
    model.config.tie_word_embeddings = False
    model.save_pretrained(tmp_path)
    edited(tmp_path, config={"tie_word_embeddings": True})
    loaded = load(tmp_path)
    assert torch.equal(loaded.lm_head.weight, model.lm_head.weight)
    assert not torch.equal(loaded.lm_head.weight, loaded.model.embed_tokens.weight)


LEFT_OUT = [
    ("model.layers.0.self_attn.rotary_emb.inv_freq", {}),
    ("transformer.h.0.attn.attention.masked_bias", {}),
    ("model.layers.0.self_attn.k_scale", {"quantization_config": {"quant_method": "fp8"}}),
    ("vision_tower.patch.weight", {"vision_config": {"depth": 1}}),
    ("mtp.layers.0.norm.weight", {"mtp_num_hidden_layers": 1}),
    ("model.layers.4.eh_proj.weight", {"num_hidden_layers": 4, "num_nextn_predict_layers": 1}),
]


@pytest.mark.parametrize(("name", "config"), LEFT_OUT)
def test_what_a_text_model_does_not_read_may_be_left_out(name, config):
    """Computed angles, masks, scales of a cache, and parts that config.json declares for others."""
    assert may_be_left_out(name, config, None)


@pytest.mark.parametrize(
    "name", [name for name, config in LEFT_OUT if config] + ["model.layers.5.eh_proj.weight"]
)
def test_what_config_does_not_declare_counts(name):
    """The same names are tensors without a place where config.json says nothing of them."""
    assert not may_be_left_out(name, {"num_hidden_layers": 4}, None)


def test_a_bias_of_attention_is_no_mask():
    """A causal mask has rows and columns, a bias one number for an output."""
    name = "transformer.h.0.attn.bias"
    assert may_be_left_out(name, {}, StoredTensor("BOOL", (1, 1, 8, 8)))
    assert not may_be_left_out(name, {}, StoredTensor("F32", (8,)))

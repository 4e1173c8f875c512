"""Checkpoints are compared parameter by parameter; another architecture is another model."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from pytest_llmsafety.compressors import compress
from pytest_llmsafety.compressors.record.coverage import share_text
from pytest_llmsafety.compressors.record.dense_facts import DenseFacts
from pytest_llmsafety.errors import NothingCompressed
from pytest_llmsafety.inference.codec import decode, encode
from pytest_llmsafety.models.load import load_model
from pytest_llmsafety.models.tokenizer import load_tokenizer
from pytest_llmsafety.phantom.weights import model_path
from tests.stand_ins.random_models import FAMILIES, random_model

IDS = torch.arange(3, 20)[None]


def changed(family, change, folder):
    """A model and the path of a checkpoint of it, after a change."""
    other = random_model(family)
    with torch.no_grad():
        change(other)
    other.save_pretrained(folder)
    return random_model(family), f"checkpoint:{folder}"


def experts(model):
    """Round all experts."""
    for name, value in model.named_parameters():
        if "experts" in name:
            value.copy_((value * 8).round() / 8)


def head(model):
    """Change the output embedding."""
    model.lm_head.weight.mul_(0.5)


def norms(model):
    """Change the norms."""
    for block in model.model.layers:
        block.input_layernorm.weight.mul_(0.5)


def one_block_less(model):
    """Take the second block out."""
    del model.model.layers[1]
    model.config.num_hidden_layers -= 1
    for number, block in enumerate(model.model.layers):
        block.self_attn.layer_idx = number


def more_rows(model):
    """Pad the embeddings, and round the blocks."""
    model.resize_token_embeddings(model.config.vocab_size + 8)
    for block in model.model.layers:
        for value in block.parameters():
            value.copy_((value * 8).round() / 8)


@pytest.mark.parametrize(
    ("family", "change", "first", "body"),
    [
        ("mixtral", experts, "model.layers.0.mlp.experts.gate_up_proj", (0.5, 1)),
        ("llama", head, "lm_head", (0, 0)),
        ("llama", norms, "model.layers.0.input_layernorm", (0, 0.1)),
    ],
)
def test_whatever_changed_is_a_change(family, change, first, body, tmp_path):
    """Changes of experts, head or norms count."""
    model, spec = changed(family, change, tmp_path)
    record = compress(model, spec)
    assert record.layers_changed[0] == first
    assert record.architecture == ""
    assert record.bits == pytest.approx(32)
    assert 0 < record.changed_share < 1
    assert body[0] <= record.changed_body_share <= body[1]


def test_fewer_blocks_are_another_model(tmp_path):
    """A depth-pruned checkpoint runs, and the record says what it is instead of a share."""
    model, spec = changed("llama", one_block_less, tmp_path)
    record = compress(model, spec)
    assert len(model.model.layers) == 2
    assert torch.isfinite(model(IDS).logits).all()
    assert share_text(record) == "another architecture: 2 of 3 blocks"
    assert (record.changed_share, record.changed_body_share, record.kept) == (None, None, ())
    assert len(record.layers_changed) == 14
    assert record.bits == 32
    assert record.bytes_after < record.bytes_before


def test_another_class_is_another_model(tmp_path):
    """A GPT-2 in the place of a Llama answers as a GPT-2, also before a further step."""
    other = random_model("gpt2")
    other.save_pretrained(tmp_path)
    model = random_model("llama")
    record = compress(model, f"checkpoint:{tmp_path}")
    assert torch.equal(model(IDS).logits, other(IDS).logits)
    assert record.architecture.startswith(
        "another architecture: GPT2LMHeadModel instead of LlamaForCausalLM, 2 of 3 blocks"
    )
    record = compress(random_model("llama"), f"checkpoint:{tmp_path}+rtn:4:g16")
    assert record.architecture.startswith("another architecture: GPT2LMHeadModel")
    assert record.changed_share is None


@pytest.mark.parametrize("rounded", [True, False])
def test_more_rows_of_the_embedding_leave_the_body_comparable(rounded, tmp_path):
    """A padded vocabulary is noted, and does not hide that the blocks stayed as they were."""
    change = more_rows if rounded else lambda model: model.resize_token_embeddings(72)
    model, spec = changed("llama", change, tmp_path)
    rows = model.config.vocab_size
    record = compress(model, spec)
    assert f"rows of the embedding instead of {rows}" in record.architecture
    assert record.changed_body_share == pytest.approx(float(rounded), abs=0.02)


def test_a_bias_that_the_dense_model_lacks_is_noted(tmp_path):
    """Parameters that differ where the sizes do not are counted and named."""
    config = LlamaConfig(**FAMILIES["llama"][1], attention_bias=True)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    record = compress(random_model("llama"), f"checkpoint:{tmp_path}")
    assert "12 parameters more (model.layers.0.self_attn.q_proj.bias" in record.architecture


def test_a_head_of_its_own_is_called_one(tmp_path):
    """The files hold a head although config.json ties it to the input embedding."""
    config = LlamaConfig(**FAMILIES["llama"][1], tie_word_embeddings=True)
    dense = LlamaForCausalLM(config)
    dense.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    state = load_file(path)
    state["lm_head.weight"] = state["model.embed_tokens.weight"] * 1.5
    state["model.layers.0.self_attn.q_proj.weight"] *= 0.5
    save_file(state, path, metadata={"format": "pt"})
    record = compress(dense, f"checkpoint:{tmp_path}")
    says = "lm_head.weight is a matrix of its own, not tied to the input embedding"
    assert record.architecture == f"another architecture: {says}"


def test_other_settings_of_the_same_weights_are_noted(tmp_path):
    """A setting of config.json that changes no shape, such as the window, is noted."""

    def shorter(model):
        head(model)
        model.config.max_position_embeddings = 16

    model, spec = changed("llama", shorter, tmp_path)
    longest = model.config.max_position_embeddings
    record = compress(model, spec)
    assert record.notes[0] == (
        "config.json has other settings than the dense model's: "
        f"max_position_embeddings 16 instead of {longest}"
    )
    assert record.architecture == ""


def test_a_baseline_tells_architectures_apart(tmp_path):
    """The facts in a baseline are enough to say what a checkpoint is."""
    model, spec = changed("llama", one_block_less, tmp_path)
    tokenizer = load_tokenizer(model_path())
    facts = decode("facts", encode(DenseFacts.of(model, tokenizer)))
    loaded = load_model(tmp_path, dtype="float32", device="cpu")
    record = compress(loaded, spec, dense=facts)
    assert record.architecture == "another architecture: 2 of 3 blocks"
    model.save_pretrained(tmp_path)
    with pytest.raises(NothingCompressed):
        compress(load_model(tmp_path, dtype="float32", device="cpu"), spec, dense=facts)

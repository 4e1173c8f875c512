"""compress(): what every compressor shares, and how a wrong spec is refused."""

from __future__ import annotations

import copy
import doctest
import re

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from pytest_llmsafety.compressors import COMPRESSORS, base, check, compress
from pytest_llmsafety.compressors.layerwise.layers import linear_layers
from pytest_llmsafety.errors import (
    CompressionError,
    ConfigurationError,
    GroupSizeError,
    ModelError,
    NothingCompressed,
    UnknownNameError,
    UnsupportedModelError,
)
from pytest_llmsafety.specs import CompressionSpec, Step


@pytest.fixture
def llama():
    """A tiny Llama with random weights; hidden 64 and 128, so that group sizes differ."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=64,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config).eval()


@pytest.mark.parametrize(("spec", "bits"), [("int8", 8), ("float8", 8), ("int4", 4), ("int2", 2)])
def test_record_counts_scales_and_offsets(llama, spec, bits):
    """The measured bits per weight are those of the codes plus those of scales and offsets."""
    record = compress(llama, spec)
    assert bits < record.bits < bits + 1.5
    assert record.bytes_after < record.bytes_before
    assert len(record.layers_changed) == 14


def test_output_embedding_stays_dense(llama):
    """lm_head is tied to the input embedding and stays tied and unchanged."""
    before = llama.lm_head.weight.clone()
    compress(llama, "int4")
    assert torch.equal(llama.lm_head.weight, before)
    assert llama.lm_head.weight is llama.model.embed_tokens.weight


def test_odd_group_size_is_recorded(llama):
    """A layer whose inputs quanto cannot cut into groups of 128 is named in the notes."""
    notes = compress(llama, "int4").notes
    assert any("12 of 14 layers: group size one per output channel" in note for note in notes)


def test_gpt2_is_compressed_in_its_conv1d_layers():
    """GPT-2 keeps its weights in Conv1D; each of them changes, and by less than one step."""
    torch.manual_seed(0)
    sizes = {"n_layer": 1, "n_embd": 64, "n_head": 2, "vocab_size": 40}
    model = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)).eval()
    weight = model.transformer.h[0].mlp.c_fc.weight
    before = weight.clone()
    record = compress(model, "int8")
    assert len(record.layers_changed) == 4
    step = before.abs().amax(dim=0) / 127
    assert (weight - before).abs().le(step * 0.5001).all()
    assert not torch.equal(weight, before)


def test_compressing_twice_changes_nothing_the_second_time(llama):
    """Weights that already lie on the grid raise NothingCompressed, not a silent success."""
    compress(llama, "int8")
    with pytest.raises(NothingCompressed, match="changed no layer"):
        compress(llama, "int8")


@pytest.mark.parametrize("spec", ["int8+int8", "magnitude:0.5+magnitude:0.3:layer+int8"])
def test_a_step_that_changes_nothing_is_named(llama, spec):
    """A chain with a step that changes nothing would be judged under a wrong name."""
    with pytest.raises(
        NothingCompressed, match=rf"the step (int8|magnitude:0\.3:layer) of '{re.escape(spec)}'"
    ):
        compress(llama, spec)


@pytest.mark.parametrize("spec", ["a8+a8", "int8+a8+a8-static", "llm.int8+a8"])
def test_inputs_are_rounded_once(spec):
    """Two hooks on the same inputs are refused by name, before any work."""
    with pytest.raises(
        ConfigurationError, match=r"rounds the inputs of layers 2 times, by .* and by"
    ):
        check(CompressionSpec.parse(spec))


@pytest.mark.parametrize("spec", ["int8", "int4", "int2", "float8", "phantom:same"])
def test_every_record_has_a_row_for_each_layer(llama, spec):
    """Each layer has its bits and sparsity; their means over the weights are the totals."""
    compress(llama, "magnitude:0.5")
    record = compress(llama, spec)
    sizes = {name: llama.get_submodule(name).weight.numel() for name, *_ in record.layers}
    assert len(sizes) == 14
    for column, whole in ((1, record.bits), (2, record.sparsity)):
        mean = sum(row[column] * sizes[row[0]] for row in record.layers) / sum(sizes.values())
        assert mean == pytest.approx(whole)
    for name, _, share in record.layers:
        assert share == pytest.approx(float((llama.get_submodule(name).weight == 0).float().mean()))


def test_a_layer_on_the_grid_counts_for_the_sparsity(llama):
    """The zeros of a layer that quanto leaves as it is are zeros of the model."""
    compress(llama, "magnitude:0.5+int8")
    llama.model.layers[0].mlp.up_proj.weight.data.normal_()
    record = compress(llama, "int8")
    assert record.layers_changed == ("model.layers.0.mlp.up_proj",)
    assert 0.3 < record.sparsity < 0.5


def test_steps_follow_each_other(llama):
    """`int8+int4` runs both and names both in one record."""
    record = compress(llama, "int8+int4")
    assert record.method == "int8+int4"
    assert 4 < record.bits < 6


def test_nan_weights_are_refused(llama):
    """A weight that is not finite is named, and nothing is quantized."""
    llama.model.layers[1].mlp.up_proj.weight.data[0, 0] = float("nan")
    with pytest.raises(CompressionError, match=r"layers\.1\.mlp\.up_proj holds NaN"):
        compress(llama, "int8")


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ("int5", UnknownNameError, "Did you mean"),
        ("int4:3", ConfigurationError, "takes no parameter"),
        ("checkpoint", ConfigurationError, "checkpoint:PATH"),
        ("checkpoint:/nowhere", ConfigurationError, "does not exist"),
        ("int8+checkpoint:x", ConfigurationError, "only come first"),
        ("phantom:better", ConfigurationError, "phantom:worse or phantom:same"),
        ("no_such_module:f", ConfigurationError, "cannot import"),
        ("os:no_such_name", ConfigurationError, "has no 'no_such_name'"),
        ("os:sep", ConfigurationError, "expected a function"),
    ],
)
def test_wrong_spec_is_refused_before_any_work(spec, error, words):
    """Each wrong spec raises a named error that says what was expected."""
    with pytest.raises(error, match=words):
        check(CompressionSpec.parse(spec))


def test_own_function_is_called_and_its_changes_recorded(llama, tmp_path, monkeypatch):
    """A function of the current folder changes the model; the record lists just those layers."""
    (tmp_path / "my_pruning.py").write_text(
        "def halve(model):\n"
        "    weight = model.model.layers[0].mlp.up_proj.weight\n"
        "    weight[:, ::2] = 0\n"
    )
    monkeypatch.chdir(tmp_path)
    record = compress(llama, "my_pruning:halve")
    assert record.layers_changed == ("model.layers.0.mlp.up_proj",)
    assert record.sparsity == pytest.approx(0.5)


def test_the_example_of_a_compressor_works(llama):
    """The docstring of Compressor runs as written, and what it defines changes every layer."""
    names = vars(base).copy()
    (example,) = doctest.DocTestFinder(recurse=False).find(base.Compressor, globs=names)
    assert doctest.DocTestRunner().run(example, clear_globs=False).failed == 0
    record = example.globs["Halve"]().compress(llama, Step("halve"), base.Context())
    assert len(record.layers_changed) == len([*linear_layers(llama)])


def test_a_registered_class_has_to_extend_compressor(monkeypatch):
    """A class of another kind is named before any work, with what it has to extend."""
    monkeypatch.setitem(COMPRESSORS.table, "int4", "builtins:dict")
    with pytest.raises(ConfigurationError, match=r"'int4' is a dict\. Expected .*Compressor"):
        check(CompressionSpec.parse("int4"))


def test_checkpoint_puts_the_compressed_model_in_place(llama, tmp_path):
    """After checkpoint:PATH the model answers as the saved one; the record says what differs."""
    ids = torch.arange(20)[None]
    twin = LlamaForCausalLM(llama.config).eval()
    twin.load_state_dict(llama.state_dict())
    twin.model.layers[0].self_attn.q_proj.weight.data.mul_(2)
    twin.save_pretrained(tmp_path)
    record = compress(llama, f"checkpoint:{tmp_path}")
    assert record.layers_changed == ("model.layers.0.self_attn.q_proj",)
    with torch.no_grad():
        assert torch.equal(llama(ids).logits, twin(ids).logits)


def test_checkpoint_of_the_same_weights_is_not_a_compression(llama, tmp_path):
    """A checkpoint that equals the dense model raises NothingCompressed."""
    llama.save_pretrained(tmp_path)
    with pytest.raises(NothingCompressed):
        compress(llama, f"checkpoint:{tmp_path}")


def test_checkpoint_with_a_missing_weight_is_refused(llama, tmp_path):
    """A weight that is absent would be random numbers: it is named, and nothing is judged."""
    llama.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    del state["model.layers.1.self_attn.q_proj.weight"]
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="1 weights are absent"):
        compress(llama, f"checkpoint:{tmp_path}")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def f(model:\n", "SyntaxError"),
        ("raise OSError('no disk')\n", "no disk"),
        ("def f(model, bits):\n    pass\n", "one argument"),
    ],
)
def test_own_module_that_cannot_be_used_is_refused(source, words, tmp_path, monkeypatch):
    """A module that does not import, or a function of another signature, is a named error."""
    name = tmp_path.name
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=words):
        check(CompressionSpec.parse(f"{name}:f"))


def test_an_error_of_a_later_step_leaves_no_half_compressed_model(llama):
    """A group size that fits no layer is found before any change, but after the first step."""
    with pytest.raises(GroupSizeError):
        compress(llama, "magnitude:0.5+rtn:4:g7")
    with pytest.raises(ModelError, match="may be compressed and part not"):
        llama(torch.tensor([[1, 2]]))


def test_an_error_before_any_change_leaves_the_model_as_it_was(llama):
    """The same group size in the first step harms nothing."""
    with pytest.raises(GroupSizeError):
        compress(llama, "rtn:4:g7+magnitude:0.5")
    assert llama(torch.tensor([[1, 2]])).logits.isfinite().all()


def broken(folder):
    """A folder that holds a model of which one weight is missing."""
    state = load_file(folder / "model.safetensors")
    del state["model.layers.1.self_attn.q_proj.weight"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("spec", "harm"),
    [
        ("checkpoint:{}", "weights"),
        ("checkpoint:{}", "folder"),
        ("delta:{}:1:nearest", "weights"),
        ("delta:{}:1:nearest", "architecture"),
        ("delta:{}:1:nearest", "folder"),
    ],
)
def test_another_model_that_cannot_be_had_harms_nothing(llama, tmp_path, spec, harm):
    """BASE or a checkpoint that does not load, or another BASE, leaves the dense model usable."""
    sizes = {"n_layer": 1, "n_embd": 32, "n_head": 2, "vocab_size": 40}
    other = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0))
    (other if harm == "architecture" else llama).save_pretrained(tmp_path)
    ids = torch.tensor([[1, 2]])
    before = llama(ids).logits
    if harm == "weights":
        broken(tmp_path)
    if harm == "folder":
        (tmp_path / "model.safetensors").unlink()
    with pytest.raises((ModelError, UnsupportedModelError)):
        compress(llama, spec.format(tmp_path))
    assert torch.equal(llama(ids).logits, before)


def test_a_checkpoint_that_does_not_run_harms_nothing(llama, tmp_path, monkeypatch):
    """An error in its first pass is reported, and the dense model answers as before."""
    twin = LlamaForCausalLM(llama.config)
    twin.save_pretrained(tmp_path)
    ids = torch.tensor([[1, 2]])
    before = llama(ids).logits
    with monkeypatch.context() as patched:
        patched.setattr(LlamaForCausalLM, "forward", lambda *_, **__: 1 / 0)
        with pytest.raises(ModelError, match=r"does not run \(ZeroDivisionError"):
            compress(llama, f"checkpoint:{tmp_path}")
    assert torch.equal(llama(ids).logits, before)


def test_a_step_that_undoes_zeros_says_so(llama):
    """Quanto's int4 has no exact zero, so the zeros of 2:4 pruning are gone; rtn keeps them."""
    kept = compress(copy.deepcopy(llama), "magnitude:2:4+rtn:4:g64")
    assert kept.sparsity >= 0.5
    assert not any("undid zeros" in note for note in kept.notes)
    lost = compress(llama, "magnitude:2:4+int4")
    assert lost.sparsity < 0.4
    assert any("int4 undid zeros: 50% of the weights" in note for note in lost.notes)

"""GPTQ and AWQ checkpoints, unpacked without their packages."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from pytest_llmsafety.compressors import check, compress
from pytest_llmsafety.errors import ConfigurationError, ModelError
from pytest_llmsafety.models import quantization_formats
from pytest_llmsafety.models.load import load_model
from pytest_llmsafety.models.unpack import codes
from pytest_llmsafety.specs import CompressionSpec
from tests.stand_ins.foreign_checkpoints import tiny_llama
from tests.stand_ins.packed_checkpoints import save_packed, save_quanto, words
from tests.stand_ins.random_models import random_model

GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": False, "sym": False}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm", "zero_point": True}
AUTO_ROUND = {"quant_method": "auto-round", "bits": 4, "group_size": 32, "data_type": "int"}
IDS = torch.arange(3, 20)[None]


@pytest.fixture(autouse=True)
def _without_packages(monkeypatch):
    """No package of any format is installed."""
    monkeypatch.setattr(quantization_formats, "version", lambda _: "")


def logits(model):
    """What the model answers to one sequence."""
    with torch.no_grad():
        return model(IDS).logits


def edited(folder, **changes):
    """Change the file of weights: a tensor by name, None to leave it out."""
    state = {**load_file(folder / "model.safetensors"), **changes}
    state = {name: tensor for name, tensor in state.items() if tensor is not None}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    "settings",
    [
        GPTQ,
        {**GPTQ, "bits": 8},
        {**GPTQ, "bits": 2},
        {**GPTQ, "checkpoint_format": "gptq_v2"},
        AWQ,
        {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True},
        {**AUTO_ROUND, "packing_format": "auto_round:auto_gptq"},
        {**AUTO_ROUND, "packing_format": "auto_round:auto_awq"},
    ],
)
def test_the_values_of_the_codes_come_back(settings, tmp_path):
    """checkpoint:PATH of packed layers is the model that rtn with groups of 32 makes."""
    packed, model = tiny_llama(), tiny_llama()
    save_packed(packed, tmp_path, settings)
    spec = CompressionSpec.parse(f"checkpoint:{tmp_path}")
    check(spec)
    record = compress(model, spec)
    rounded = tiny_llama()
    compress(rounded, f"rtn:{settings['bits']}:g32")
    assert torch.equal(logits(model), logits(rounded))
    assert torch.equal(logits(model), logits(packed))
    assert len(record.layers_changed) == len(record.layers) == 14
    assert settings["bits"] < record.bits < settings["bits"] + 3.5
    assert record.notes[0] == (
        f"{settings['quant_method']} checkpoint, dequantized: plain float32 layers ran, and no "
        "kernels of a package"
    )


@pytest.mark.parametrize("kind", ["int8", "int4", "int2", "float8"])
def test_a_folder_of_quanto_is_what_quanto_makes_here(kind, tmp_path):
    """optimum-quanto's own files, which transformers does not load, hold the values of `int4`."""
    save_quanto(tiny_llama(), tmp_path, f"q{kind}")
    spec = CompressionSpec.parse(f"checkpoint:{tmp_path}")
    check(spec)
    model, live = tiny_llama(), tiny_llama()
    record, expected = compress(model, spec), compress(live, kind)
    assert torch.equal(logits(model), logits(live))
    assert record.bits == pytest.approx(expected.bits, abs=0.02)  # scales of inputs
    assert record.bytes_after == (tmp_path / "model.safetensors").stat().st_size
    assert record.notes[0].startswith("quanto checkpoint, dequantized: plain float32 layers ran")


def test_quanto_with_rounded_inputs_is_refused(tmp_path):
    """Its scales of inputs would be lost in a plain model."""
    save_quanto(tiny_llama(), tmp_path, "qint8")
    edited(tmp_path, **{"model.layers.0.mlp.up_proj.input_scale": torch.tensor(0.5)})
    with pytest.raises(ModelError, match=r"rounds what passes through model\.layers\.0\.mlp\.up"):
        load_model(tmp_path, dtype="float32", device="cpu")


def test_quanto_without_codes_is_refused(tmp_path):
    """A scale without its codes is a file that is not whole."""
    save_quanto(tiny_llama(), tmp_path, "qint8")
    edited(tmp_path, **{"model.layers.0.mlp.up_proj.weight._data": None})
    with pytest.raises(ModelError, match=r"up_proj\.weight has no place or no codes"):
        load_model(tmp_path, dtype="float32", device="cpu")


def test_inputs_in_another_order_find_their_group(tmp_path):
    """g_idx says which group an input belongs to, as activation order writes it."""
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    packed = tiny_llama()
    save_packed(packed, tmp_path, {**GPTQ, "desc_act": True}, order=order)
    assert torch.equal(logits(load_model(tmp_path, dtype="float32", device="cpu")), logits(packed))


def test_without_g_idx_neighbours_share_a_group(tmp_path):
    """AutoGPTQ's oldest files have none; -1 is one group for all inputs."""
    packed = tiny_llama()
    save_packed(packed, tmp_path, GPTQ)
    names = [name for name in load_file(tmp_path / "model.safetensors") if name.endswith("g_idx")]
    assert len(names) == 14
    edited(tmp_path, **dict.fromkeys(names))
    assert torch.equal(logits(load_model(tmp_path, dtype="float32", device="cpu")), logits(packed))


def test_it_is_a_plain_model(tmp_path):
    """In bfloat16 and with its own generation config it can be compressed again and saved."""
    save_packed(tiny_llama(), tmp_path, GPTQ)
    path = tmp_path / "generation_config.json"
    path.write_text(json.dumps({"eos_token_id": [7, 9]}))
    model = load_model(tmp_path, dtype="bfloat16", device="cpu")
    assert model.dtype == torch.bfloat16
    assert model.generation_config.eos_token_id == [7, 9]
    assert compress(model, "magnitude:0.5").sparsity >= 0.5
    model.save_pretrained(tmp_path / "plain")
    assert (
        quantization_formats.quantization_of(
            json.loads((tmp_path / "plain/config.json").read_text())
        )
        == ""
    )


def test_another_architecture_is_another_model(tmp_path):
    """An unpacked Llama takes the place of a Mistral, and the record says so."""
    save_packed(tiny_llama(), tmp_path, AWQ)
    model = random_model("mistral")
    record = compress(model, f"checkpoint:{tmp_path}")
    assert "LlamaForCausalLM instead of MistralForCausalLM" in record.architecture
    assert 4 < record.bits < 6.5


def test_biases_of_zeros_mean_nothing_and_others_do(tmp_path):
    """AutoGPTQ writes zero biases into layers without one; any other tensor left over is named."""
    packed = tiny_llama()
    save_packed(packed, tmp_path, GPTQ)
    name = "model.layers.0.self_attn.q_proj.bias"
    edited(tmp_path, **{name: torch.zeros(64)})
    assert torch.equal(logits(load_model(tmp_path, dtype="float32", device="cpu")), logits(packed))
    edited(tmp_path, **{name: torch.ones(64)})
    with pytest.raises(
        ModelError, match=r"no place for 1 tensor of the files \(model\.layers\.0.*q_proj\.bias"
    ):
        load_model(tmp_path, dtype="float32", device="cpu")


def test_a_zero_point_of_0_in_the_first_format_is_refused(tmp_path):
    """It is stored as -1, which packages read differently; gptq_v2 has no such trouble."""
    name = "model.layers.1.mlp.up_proj.qzeros"
    for kind, fine in (("gptq_v2", True), ("gptq", False)):
        save_packed(tiny_llama(), tmp_path, {**GPTQ, "checkpoint_format": kind})
        edited(tmp_path, **{name: torch.full((2, 16), -1, dtype=torch.int32)})
        if fine:
            load_model(tmp_path, dtype="float32", device="cpu")
            continue
        with pytest.raises(ModelError, match=r"up_proj has a zero point of 0.*gptq_v2"):
            load_model(tmp_path, dtype="float32", device="cpu")


def test_a_layer_that_lacks_a_part_is_named(tmp_path):
    """Nothing stands in for scales that are absent."""
    save_packed(tiny_llama(), tmp_path, AWQ)
    edited(tmp_path, **{"model.layers.0.mlp.up_proj.scales": None})
    with pytest.raises(ModelError, match=r"layers\.0\.mlp\.up_proj has no scales"):
        load_model(tmp_path, dtype="float32", device="cpu")


def test_an_absent_layer_is_named(tmp_path):
    """A weight that no file holds would be random numbers."""
    save_packed(tiny_llama(), tmp_path, AWQ)
    start = "model.layers.0.mlp.up_proj."
    edited(tmp_path, **{start + part: None for part in ("qweight", "qzeros", "scales")})
    with pytest.raises(ModelError, match="1 weights are absent"):
        load_model(tmp_path, dtype="float32", device="cpu")


def test_packed_conv1d_is_refused(tmp_path):
    """GPT-2 stores its layers turned, and a square one would be taken the wrong way round."""
    random_model("gpt2").save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "quantization_config": GPTQ}))
    with pytest.raises(ModelError, match=r"packed Conv1D layers.*pip install optimum gptqmodel"):
        load_model(tmp_path, dtype="float32", device="cpu")


@pytest.mark.parametrize(
    "settings",
    [
        {**GPTQ, "bits": 3},
        {**GPTQ, "dynamic": {"-:.*down.*": {}}},
        {**GPTQ, "pack_dtype": "int16"},
        {**AWQ, "version": "gemv"},
        {**AWQ, "bits": 8},
    ],
)
def test_other_layouts_say_what_to_install(settings, tmp_path):
    """Before anything is loaded: codes of which the places are not known are not guessed at."""
    tiny_llama().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "quantization_config": settings}))
    with pytest.raises(ConfigurationError, match=r"not installed: pip install .*gptqmodel"):
        check(CompressionSpec.parse(f"checkpoint:{tmp_path}"))
    with pytest.raises(ModelError, match=r"not installed: pip install .*gptqmodel"):
        load_model(tmp_path, dtype="float32", device="cpu")


def test_an_installed_package_is_used(monkeypatch):
    """Where the package is there, the checkpoint runs on its kernels."""
    config = {"quantization_config": GPTQ}
    assert quantization_formats.unpacked_here(config)
    monkeypatch.setattr(quantization_formats, "version", lambda _: "1.0")
    assert not quantization_formats.unpacked_here(config)
    assert quantization_formats.missing_for(config) == ""


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_codes_survive_their_words(bits):
    """What is packed is unpacked, the sign bit included."""
    found = torch.randint(0, 2**bits, (5, 64), generator=torch.Generator().manual_seed(bits))
    order = tuple(range(32 // bits))
    assert torch.equal(codes(words(found, bits, order), bits, order), found)

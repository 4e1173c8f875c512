"""Checkpoints of other packages: judged as they are, measured on disk, refused with a remedy."""

from __future__ import annotations

import json
from importlib import metadata

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from pytest_llmsafety.compressors import check, compress
from pytest_llmsafety.errors import ConfigurationError, ModelError, UnsupportedModelError
from pytest_llmsafety.models import quantization_formats
from pytest_llmsafety.models.digests import FileDigests
from pytest_llmsafety.models.identity import step_digest
from pytest_llmsafety.models.load import load_gguf, load_model
from pytest_llmsafety.specs import CompressionSpec
from tests.stand_ins.foreign_checkpoints import (
    save_bitsandbytes,
    save_compressed_tensors,
    save_gguf,
    save_nvfp4,
    save_torchao,
    tiny_llama,
)
from tests.stand_ins.packed_checkpoints import save_fp8
from tests.stand_ins.random_models import random_model

IDS = torch.arange(3, 20)[None]
PACKAGES = ("compressed-tensors", "bitsandbytes", "gguf")
WARNS = pytest.mark.filterwarnings("ignore")  # other packages' own warnings are not ours to fix


@pytest.fixture
def package(request):
    """The name of a package; the test is skipped where it is not installed."""
    try:
        metadata.version(request.param)
    except metadata.PackageNotFoundError:
        pytest.skip(f"{request.param} is not installed")
    return request.param


def logits(model):
    """What the model answers to one sequence."""
    with torch.no_grad():
        return model(IDS).logits


def saved(package, bits, folder):
    """The spec of a checkpoint that is made in `folder`."""
    if package == "gguf":
        path = folder / "model.gguf"
        save_gguf(path, {4: "Q4_0", 8: "Q8_0", 16: "F16"}[bits])
        return f"gguf:{path}"
    make = {"compressed-tensors": save_compressed_tensors, "bitsandbytes": save_bitsandbytes}
    make[package](folder, bits)
    return f"checkpoint:{folder}"


@WARNS
@pytest.mark.parametrize("package", PACKAGES, indirect=True)
@pytest.mark.parametrize(
    ("bits", "low", "high", "furthest"), [(4, 4, 6.5, 0.15), (8, 8, 8.6, 0.015)]
)
def test_packed_checkpoint_answers_and_is_measured(package, bits, low, high, furthest, tmp_path):
    """The model answers nearly as the dense one; the bits are those of codes and scales on disk."""
    model, dense = tiny_llama(), tiny_llama()
    record = compress(model, saved(package, bits, tmp_path))
    difference = float((logits(model) - logits(dense)).abs().max())
    assert 0 < difference < furthest
    assert low < record.bits < high
    assert len(record.layers_changed) == 14
    assert all(low < row[1] < high for row in record.layers)
    files = list(tmp_path.glob("*.gguf")) or [tmp_path / "model.safetensors"]
    assert record.bytes_after == files[0].stat().st_size
    assert record.notes[-1] == "bits and bytes as stored on disk"


@WARNS
@pytest.mark.parametrize("package", ["compressed-tensors", "bitsandbytes"], indirect=True)
def test_packed_checkpoint_answers_as_when_loaded_alone(package, tmp_path):
    """The model in the dense one's place gives the logits of plain from_pretrained, twice."""
    model = tiny_llama()
    compress(model, saved(package, 4, tmp_path))
    alone = AutoModelForCausalLM.from_pretrained(
        tmp_path, dtype=torch.float32, device_map={"": "cpu"}
    )
    assert torch.equal(logits(model), logits(alone))
    assert torch.equal(logits(model), logits(alone))


@WARNS
@pytest.mark.parametrize(
    ("package", "save", "bits", "ran"),
    [
        ("compressed-tensors", save_nvfp4, 4.5, "dequantized: plain float32 layers ran"),
        ("torchao", save_torchao, 8.5, "run by its package in float32: 14 layers by torchao"),
    ],
    indirect=["package"],
)
def test_the_record_says_what_ran(package, save, bits, ran, tmp_path):
    """NVFP4 is unpacked into the dense model's float32; a torchao weight computes by itself."""
    save(tmp_path)
    model, dense = tiny_llama(), tiny_llama()
    record = compress(model, f"checkpoint:{tmp_path}")
    assert 0 < float((logits(model) - logits(dense)).abs().max()) < 0.15
    assert record.bits == pytest.approx(bits, abs=0.1)
    assert record.notes[0].startswith(f"{package} checkpoint, {ran}")
    assert record.bytes_after == (tmp_path / "model.safetensors").stat().st_size


@WARNS
@pytest.mark.parametrize("package", ["gguf"], indirect=True)
def test_gguf_holds_the_rounded_weights(package, tmp_path):
    """F16 weights come back as the dense ones rounded to 16 bits, rotated heads included."""
    model, dense = tiny_llama(), tiny_llama()
    record = compress(model, saved(package, 16, tmp_path))
    assert record.bits == 16
    for name, weight in dense.named_parameters():
        found = model.get_parameter(name)
        expected = weight.half().float() if "layers" in name and weight.dim() == 2 else weight
        assert torch.equal(found, expected)


@WARNS
@pytest.mark.parametrize("package", ["gguf"], indirect=True)
def test_gguf_of_a_million_layers_is_refused(package, tmp_path):
    """The metadata are compared with the tensors before a model is built."""
    spec = saved(package, 8, tmp_path)
    path = tmp_path / "model.gguf"
    content = bytearray(path.read_bytes())
    place = content.index(b"llama.block_count") + len("llama.block_count") + 4
    content[place : place + 4] = (10**6).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(ModelError, match="its metadata says num_hidden_layers = 1,000,000"):
        compress(tiny_llama(), spec)


@WARNS
@pytest.mark.parametrize("package", ["gguf"], indirect=True)
def test_gguf_of_another_architecture_is_another_model(package, tmp_path):
    """A Llama in GGUF takes the place of a Mistral, and the record says that it is another one."""
    model = random_model("mistral")
    record = compress(model, saved(package, 8, tmp_path))
    assert type(model).__name__ == "LlamaForCausalLM"
    assert record.architecture.startswith("another architecture: LlamaForCausalLM instead of Mis")
    assert record.changed_share is None
    assert 8 < record.bits < 9


@WARNS
@pytest.mark.parametrize("package", ["gguf"], indirect=True)
def test_gguf_rope_factors_are_used(package, tmp_path):  # noqa: ARG001 - it has to be there
    """The factors of rotary frequencies, which transformers leaves in the file, divide them."""
    path = tmp_path / "model.gguf"
    factors = np.linspace(1, 4, 8, dtype=np.float32)
    save_gguf(path, "F16", tensors={"rope_freqs.weight": factors})
    found = dict(load_gguf(path, dtype="float32", device="cpu").named_buffers())
    plain = dict(tiny_llama().named_buffers())
    for name in ("model.rotary_emb.inv_freq", "model.rotary_emb.original_inv_freq"):
        assert torch.equal(found[name], plain[name] / torch.tensor(factors))


@WARNS
@pytest.mark.parametrize("package", ["gguf"], indirect=True)
@pytest.mark.parametrize(
    "name", ["blk.0.attn_q.bias", "blk.2.attn_q.weight", "rope_factors_long.weight"]
)
def test_gguf_tensor_without_a_place_is_named(package, name, tmp_path):  # noqa: ARG001
    """A bias, a block or factors that transformers would not read are an error."""
    path = tmp_path / "model.gguf"
    save_gguf(path, "F16", tensors={name: np.ones(64, dtype=np.float32)})
    with pytest.raises(ModelError, match=f"no place for 1 tensor of the files .{name}"):
        load_gguf(path, dtype="float32", device="cpu")
    if name.endswith(".bias"):
        save_gguf(path, "F16", tensors={name: np.zeros(64, dtype=np.float32)})
        load_gguf(path, dtype="float32", device="cpu")


class Fifty:
    """A tokenizer of fifty tokens, the last of which was added."""

    def get_vocab(self):
        """Every token with its number."""
        return {f"t{number}": number for number in range(50)}

    def get_added_vocab(self):
        """The last one."""
        return {"t49": 49}


@WARNS
@pytest.mark.parametrize("package", ["gguf"], indirect=True)
def test_gguf_of_another_vocabulary_is_refused(package, tmp_path):  # noqa: ARG001
    """Other numbers of tokens would change the texts of the prompts; added tokens may differ."""
    path = tmp_path / "model.gguf"
    tokens = [*Fifty().get_vocab()]
    model = tiny_llama()
    save_gguf(path, "Q8_0", tokens=[*tokens[:-1], "another"])
    assert compress(model, f"gguf:{path}", tokenizer=Fifty()).changed_body_share > 0.8
    save_gguf(path, "Q8_0", tokens=[tokens[1], tokens[0], *tokens[2:]])
    with pytest.raises(UnsupportedModelError, match="2 of 49 tokens have another number"):
        compress(model, f"gguf:{path}", tokenizer=Fifty())
    assert model.forward(IDS).logits.isfinite().all()


@WARNS
@pytest.mark.parametrize("package", ["gguf"], indirect=True)
def test_gguf_scaling_of_positions_is_not_dropped(package, tmp_path):  # noqa: ARG001
    """A scaling that transformers does not read from the metadata is an error."""
    path = tmp_path / "model.gguf"
    save_gguf(path, "F16", texts={"llama.rope.scaling.type": "none"})
    load_gguf(path, dtype="float32", device="cpu")
    save_gguf(path, "F16", texts={"llama.rope.scaling.type": "yarn"})
    with pytest.raises(ModelError, match=r"scales rotary positions \(llama.rope.scaling.type\)"):
        load_gguf(path, dtype="float32", device="cpu")


@pytest.mark.parametrize(
    ("config", "install"),
    [
        ({"quant_method": "compressed-tensors"}, "pip install compressed-tensors"),
        ({"quant_method": "gptq", "bits": 3}, "pip install optimum gptqmodel"),
        ({"quant_method": "awq", "bits": 4, "version": "gemv"}, "pip install gptqmodel"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "pip install bitsandbytes"),
        ({"load_in_8bit": True}, "pip install bitsandbytes"),
    ],
)
def test_absent_package_is_named(config, install, tmp_path, monkeypatch):
    """Before anything is loaded the error says what to install, and loading says it, too."""
    monkeypatch.setattr(quantization_formats, "version", lambda _: "")
    tiny_llama().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "quantization_config": config}))
    with pytest.raises(ConfigurationError, match=install):
        check(CompressionSpec.parse(f"checkpoint:{tmp_path}"))
    with pytest.raises(ModelError, match=install):
        load_model(tmp_path, dtype="float32", device="cpu")


@pytest.mark.parametrize("says", [{"checkpoint_format": "marlin"}, {"is_marlin_format": True}])
def test_the_layout_marlin_is_not_blamed_on_an_absent_package(says, tmp_path, monkeypatch):
    """Another package would not help: the codes have to be converted."""
    monkeypatch.setattr(quantization_formats, "version", lambda _: "")
    tiny_llama().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    settings = {"quant_method": "gptq", "bits": 4, **says}
    path.write_text(json.dumps({**json.loads(path.read_text()), "quantization_config": settings}))
    with pytest.raises(ConfigurationError, match=r"layout marlin .* Convert it to the layout gptq"):
        check(CompressionSpec.parse(f"checkpoint:{tmp_path}"))


def test_absent_gguf_package_is_named(tmp_path, monkeypatch):
    """gguf:FILE says which package and extra to install."""
    monkeypatch.setattr(quantization_formats, "version", lambda _: "")
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(ConfigurationError, match=r"pip install gguf .*\[gguf\]"):
        check(CompressionSpec.parse(f"gguf:{path}"))


def test_version_of_the_package_is_part_of_the_key(tmp_path, monkeypatch):
    """Other kernels may round differently: an update is another digest."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    step = CompressionSpec.parse(f"gguf:{path}").steps[0]
    found = set()
    for version in ("1", "2"):
        monkeypatch.setattr(quantization_formats, "version", lambda _, version=version: version)
        found.add(step_digest(step, FileDigests()))
    assert len(found) == 2


def test_unknown_formats_are_left_to_transformers():
    """A format that this package does not know lacks no package."""
    assert quantization_formats.lacking("some-new-format") == ""
    assert quantization_formats.lacking("") == ""
    assert quantization_formats.quantization_of({}) == ""
    assert quantization_formats.quantization_of({"quantization_config": {}}) == ""


@pytest.mark.parametrize(
    ("content", "text"), [(None, "does not exist"), (b"PK\x03\x04", "not a GGUF file")]
)
def test_a_file_that_is_none_is_refused(content, text, tmp_path):
    """gguf: needs a file that exists and begins as GGUF files do."""
    path = tmp_path / "model.gguf"
    if content:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=text):
        check(CompressionSpec.parse(f"gguf:{path}"))


def test_gguf_comes_first(tmp_path):
    """It replaces the model, so no step can come before it."""
    with pytest.raises(ConfigurationError, match="gguf replaces the model"):
        check(CompressionSpec.parse(f"int8+gguf:{tmp_path}/x.gguf"))


@pytest.fixture
def halves(tmp_path):
    """A tiny GPT-2 whose files hold 16 bits a value, loaded with 32."""
    folder = tmp_path / "halves"
    random_model("gpt2").to(torch.bfloat16).save_pretrained(folder)
    return folder, load_model(folder, dtype="float32", device="cpu")


def test_bytes_are_those_of_the_files_and_not_of_float32(halves, tmp_path):
    """A pruned checkpoint in 16 bits is as large as the dense model in 16 bits."""
    folder, dense = halves
    pruned = load_model(folder, dtype="float32", device="cpu")
    record = compress(pruned, "magnitude:0.5")
    size = sum(parameter.numel() for parameter in dense.parameters()) * 2
    assert record.bits == 16
    assert all(row[1] == 16 for row in record.layers)
    assert record.bytes_before == record.bytes_after == size
    pruned.to(torch.bfloat16).save_pretrained(tmp_path / "pruned")
    record = compress(dense, f"checkpoint:{tmp_path / 'pruned'}")
    stored = (folder / "model.safetensors").stat().st_size
    assert record.bytes_before == record.bytes_after == stored
    assert record.bits == 16


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_not_packed_stays_as_the_files_have_it(halves, dtype):
    """4-bit codes save the same, in whatever dtype the model runs."""
    folder, _ = halves
    model = load_model(folder, dtype=dtype, device="cpu")
    record = compress(model, "rtn:4")
    weights = sum(model.get_submodule(name).weight.numel() for name in record.layers_changed)
    saved = record.bytes_before - record.bytes_after
    assert saved == pytest.approx(weights * (16 - record.bits) / 8, abs=1)


def test_a_folder_without_weights_is_not_that_of_the_model(tmp_path, monkeypatch):
    """A folder here may have the name of a hub model; its size is then that in memory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gpt2").mkdir()
    model = random_model("gpt2")
    model.name_or_path = "gpt2"
    size = sum(parameter.nbytes for parameter in model.parameters())
    assert compress(model, "magnitude:0.5").bytes_before == size


def test_a_dense_model_that_is_packed_counts_as_its_files_do(tmp_path):
    """8 bits a value are no saving for a model whose files have 8 bits already."""
    save_fp8(tiny_llama(), tmp_path)
    model = load_model(tmp_path, dtype="float32", device="cpu")
    record = compress(model, "rtn:8:g32")
    packed = sum(model.get_submodule(name).weight.numel() for name in record.layers_changed)
    others = sum(parameter.numel() for parameter in model.parameters()) - packed
    assert record.bytes_after == pytest.approx(packed * record.bits / 8 + others * 4, abs=1)
    assert record.bytes_before < record.bytes_after < 2 * record.bytes_before


def test_plain_checkpoint_is_measured_on_disk(tmp_path):
    """Half-precision files of masked weights: 16 bits a weight, the zeros counted by layer."""
    model = random_model("gpt2")
    compress(model, "magnitude:0.5")
    model.half().save_pretrained(tmp_path)
    dense = random_model("gpt2")
    record = compress(dense, f"checkpoint:{tmp_path}")
    assert record.bits == 16
    assert record.sparsity == pytest.approx(0.5, abs=0.01)
    assert record.bytes_after == (tmp_path / "model.safetensors").stat().st_size
    assert dense.dtype == torch.float32

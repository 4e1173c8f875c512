"""The files of a model folder: each thing that can be wrong has an error that says what to do."""

from __future__ import annotations

import json
import os
import shutil
import struct

import pytest
import torch
from safetensors.torch import save_file

from pytest_llmsafety.errors import ModelError
from pytest_llmsafety.models.model_folder import (
    check_folder,
    count_parameters,
    unread_files,
    weight_files,
)


@pytest.fixture
def folder(tmp_path):
    """A folder with everything that a model must have."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (folder / "tokenizer.json").write_text("{}")
    save_file({"a": torch.zeros(3, 4), "b": torch.zeros(5)}, folder / "model.safetensors")
    return folder


def fails(folder, *words, tokenizer=True):
    """Assert that the folder is refused in these words, and left as it was."""
    before = sorted(folder.iterdir()) if folder.is_dir() else None
    with pytest.raises(ModelError) as caught:
        check_folder(folder, tokenizer=tokenizer)
    for word in words:
        assert word in str(caught.value)
    assert before == (sorted(folder.iterdir()) if folder.is_dir() else None)


def test_folder_without_config_is_refused(folder):
    """A folder without config.json is no model."""
    (folder / "config.json").unlink()
    fails(folder, "has no config.json", "save_pretrained")


def test_file_instead_of_folder_is_refused(folder):
    """The path of a weight file is no model folder."""
    fails(folder / "model.safetensors", "is a file, not a folder")


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_malformed_config_is_refused(folder, text):
    """A config.json that is no JSON object is named."""
    (folder / "config.json").write_text(text)
    fails(folder, "config.json", "again")


def test_pickled_weights_are_refused_with_a_way_out(folder):
    """Pickle-only weights are refused, with the command that converts them."""
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    fails(folder, "pickled", "pytorch_model.bin", "save_pretrained(new_folder)")


def test_folder_without_weights_is_refused(folder):
    """A folder without any weights has an error of its own."""
    (folder / "model.safetensors").unlink()
    fails(folder, "has no weights", "Expected model.safetensors")


def test_missing_tokenizer_is_refused_where_one_is_needed(folder):
    """A folder without tokenizer files is refused, unless only its weights are wanted."""
    (folder / "tokenizer.json").unlink()
    fails(folder, "has no tokenizer", "save_pretrained(folder)")
    check_folder(folder, tokenizer=False)


def test_truncated_weights_are_refused(folder):
    """A weight file that was cut short is found out by its header, before loading."""
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    fails(folder, "not a whole safetensors file", "fetch the model again")


@pytest.mark.parametrize("content", [b"", b"abc", b"\xff" * 64])
def test_garbage_weights_are_refused(folder, content):
    """A weight file that is no safetensors file is named."""
    (folder / "model.safetensors").write_bytes(content)
    fails(folder, "not a whole safetensors file")


def test_missing_shard_is_refused(folder):
    """An index that names an absent file says how many are absent."""
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    fails(folder, "lacks 1 of 2 weight files", "model-2.safetensors")


@pytest.mark.parametrize(
    "name",
    ["part/a.safetensors", "../a.safetensors", "/a.safetensors", "a\\b.safetensors", "a.bin", 1],
)
def test_shards_lie_in_the_folder_itself(folder, name):
    """An index names safetensors files of its own folder; a path, or a pickle, is refused."""
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": name}}))
    (folder / "part").mkdir()
    shutil.copyfile(folder / "model.safetensors", folder / "part" / "a.safetensors")
    shutil.copyfile(folder / "model.safetensors", folder.parent / "a.safetensors")
    fails(folder, repr(name), "without a path")


def test_a_linked_shard_is_read(folder):
    """A hub cache links its files to blobs elsewhere: that is no path in the index."""
    (folder / "model.safetensors").rename(folder.parent / "blob")
    (folder / "model-1.safetensors").symlink_to(folder.parent / "blob")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-1.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    check_folder(folder)
    assert count_parameters(folder) == 17


@pytest.mark.parametrize("name", ["consolidated.safetensors", "model-1.safetensors"])
def test_two_sets_of_weights_are_refused(folder, name):
    """Which of two sets is judged would depend on the program that reads the folder."""
    shutil.copyfile(folder / "model.safetensors", folder / name)
    fails(folder, "two sets of weights", name, "move the others out of it")


def test_an_index_beside_a_single_file_is_refused(folder):
    """Some programs read model.safetensors, other programs the shards of the index."""
    shutil.copyfile(folder / "model.safetensors", folder / "model-1.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-1.safetensors"}}))
    fails(folder, "two sets of weights", "model.safetensors and model.safetensors.index.json")
    index.write_text(json.dumps({"weight_map": {"a": "model.safetensors"}}))
    (folder / "model-1.safetensors").unlink()
    check_folder(folder)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_an_adapter_beside_the_weights_is_refused(folder, name):
    """Whether a LoRA adapter is added depends on the program: it is merged or moved away."""
    (folder / name).write_text("{}")
    fails(folder, "LoRA adapter", name, "merge_and_unload")


def test_an_adapter_alone_is_called_one(tmp_path):
    """A folder of peft lacks more than config.json: it is a part of a model."""
    (tmp_path / "adapter_config.json").write_text("{}")
    fails(tmp_path, "LoRA adapter without its model", "merge_and_unload")


def test_a_tensor_in_two_files_is_refused(folder):
    """Of a name that two shards hold, the one read last would count."""
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    save_file({"b": torch.ones(5), "c": torch.ones(1)}, folder / "model-2.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    fails(folder, "1 tensors are in two files", "b, again in model-2.safetensors")


def test_the_file_that_config_names_is_read(folder):
    """The key transformers_weights names another file, in the same folder."""
    config = folder / "config.json"
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    config.write_text(json.dumps({"transformers_weights": "other.safetensors"}))
    assert weight_files(folder) == [folder / "other.safetensors"]
    config.write_text(json.dumps({"transformers_weights": "../other.safetensors"}))
    fails(folder, "'../other.safetensors'", "in the same folder")


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn, torch.uint8])
def test_codes_without_a_format_are_refused(folder, dtype):
    """Codes would be taken for weights where config.json names no format; a mask is no code."""
    tensors = {"a": torch.zeros(3, 4), "h.0.attn.bias": torch.ones(1, 1, 4, 4, dtype=torch.uint8)}
    save_file(tensors, folder / "model.safetensors")
    check_folder(folder)
    save_file({"a": torch.zeros(3, 4).to(dtype)}, folder / "model.safetensors")
    fails(folder, "1 tensors", "quantization_config", "does not name their quantization format")


@pytest.mark.parametrize("part", ["quantization_config", "text_config"])
def test_an_unknown_format_is_refused(folder, part):
    """Loading would skip a format that it does not know, and read codes as weights."""
    settings = {"quant_method": "modelopt"}
    config = {
        part: settings if part == "quantization_config" else {"quantization_config": settings}
    }
    (folder / "config.json").write_text(json.dumps(config))
    fails(folder, "the format 'modelopt'", "transformers does not read")


def test_a_modelopt_checkpoint_is_refused(folder):
    """ModelOpt writes its format into a file of its own, which transformers does not read."""
    (folder / "hf_quant_config.json").write_text("{}")
    fails(folder, "ModelOpt", "hf_quant_config.json")


def test_malformed_index_is_refused(folder):
    """An index that holds no map is named."""
    (folder / "model.safetensors.index.json").write_text("{}")
    fails(folder, "index.json")


def test_encoder_decoder_is_refused(folder):
    """An encoder-decoder model is not run as if it were decoder-only."""
    (folder / "config.json").write_text(
        json.dumps({"model_type": "t5", "is_encoder_decoder": True})
    )
    fails(folder, "encoder-decoder", "t5")


def test_model_that_needs_its_own_code_is_refused(folder):
    """auto_map with a model type unknown to transformers is refused; a known type is not."""
    auto_map = {"AutoModelForCausalLM": "modeling_own.Own"}
    config = {"model_type": "own", "auto_map": auto_map}
    (folder / "config.json").write_text(json.dumps(config))
    fails(folder, "auto_map", "never run")
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "phi3"}))
    check_folder(folder)


def test_values_are_counted_from_headers(folder):
    """The number of parameters is read without loading them."""
    assert count_parameters(folder) == 17
    assert [path.name for path in weight_files(folder)] == ["model.safetensors"]


HOSTILE = {
    "deep": '{"a":' + "[" * 100_000 + "]" * 100_000 + "}",
    "deep objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
}


@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_deep_text_is_an_error(folder, name, kind):
    """JSON that is nested a hundred thousand times ends in a sentence, not in the parser."""
    (folder / name).write_text(HOSTILE[kind])
    fails(folder, "cannot read", name, "nested too deeply")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json", "tokenizer.json"])
def test_a_huge_text_is_not_read(folder, name):
    """A gigabyte in place of a configuration is refused by its size."""
    with (folder / name).open("w") as file:
        file.truncate(10**9)
    fails(folder, name, "1,000,000,000 bytes")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "a.jinja"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "loop"])
def test_what_is_no_file_is_not_opened(folder, name, kind):
    """A pipe or device may never end, and a folder or a link to itself holds nothing."""
    path = folder / name
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else name)
    fails(folder, name, "read" if kind == "loop" else "is not a regular file")


def header(folder, edit):
    """Replace the header of the weights by what `edit` makes of it."""
    path = folder / "model.safetensors"
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    found = edit(json.loads(content[8 : 8 + size]))
    text = found.encode() if isinstance(found, str) else json.dumps(found).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("shape", [1e308, 2]),
        ("shape", [float("inf"), 2]),
        ("shape", [10**300, 2]),
        ("shape", [2**62, 4]),
        ("shape", [-3, -4]),
        ("shape", ["3", 4]),
        ("shape", [True, 12]),
        ("shape", [1] * 100_000),
        ("shape", None),
        ("data_offsets", [0, 2**64]),
        ("data_offsets", [-8, 40]),
        ("data_offsets", [48, 0]),
        ("data_offsets", [0]),
        ("data_offsets", [0, 20]),
        ("dtype", None),
    ],
)
def test_a_header_that_lies_is_an_error(folder, field, value):
    """Shapes and offsets have to be whole numbers that fit each other and the file."""
    header(folder, lambda found: {**found, "a": {**found["a"], field: value}})
    fails(folder, "is not a whole safetensors file")


@pytest.mark.parametrize("text", [HOSTILE["deep"], "[1]", '{"a": null}', '{"a": 5}', "{"])
def test_a_header_of_another_kind_is_an_error(folder, text):
    """Neither deep nor odd JSON in place of a header is a traceback."""
    header(folder, lambda _: text)
    fails(folder, "is not a whole safetensors file")


def test_tensors_must_not_overlap(folder):
    """Two names for the same bytes would be two tensors that no one wrote."""
    header(folder, lambda found: {**found, "c": found["b"]})
    fails(folder, "is not a whole safetensors file", "invalid offset")


def test_a_tensor_without_values_is_fine(folder):
    """It lies where the next one begins."""
    save_file({"a": torch.zeros(3), "b": torch.zeros(0, 5)}, folder / "model.safetensors")
    assert count_parameters(folder) == 3


def test_files_that_another_program_may_read_are_noted(folder):
    """Pickled weights beside the others, and AutoGPTQ's own file where it says something else."""
    assert unread_files(folder) == ()
    (folder / "pytorch_model.bin").touch()
    settings = {"quant_method": "gptq", "bits": 4, "group_size": 128}
    (folder / "config.json").write_text(json.dumps({"quantization_config": settings}))
    (folder / "quantize_config.json").write_text(json.dumps({**settings, "bits": 8}))
    assert unread_files(folder) == (
        "pytorch_model.bin was not read: a program that reads it may run other weights",
        "quantize_config.json was not read, and contradicts config.json: bits 8 instead of 4",
    )

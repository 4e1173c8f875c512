"""The files of a model folder, checked before a model is loaded from them."""

from __future__ import annotations

import math
import re
import stat
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import ModelError
from pytest_llmsafety.json_files import read_json
from pytest_llmsafety.models.quantization_formats import (
    QUANTO,
    is_known,
    quantization_of,
    quantization_settings,
)

if TYPE_CHECKING:
    from pathlib import Path

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
    "*.tiktoken",
)
PICKLED_WEIGHTS = ("pytorch_model*.bin", "consolidated*.pth")
AUTO_GPTQ = "quantize_config.json"
CODES = {"bits", "checkpoint_format", "desc_act", "group_size", "sym"}
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
READ_SUFFIXES = (".safetensors", ".json", ".jinja", ".txt", ".model", ".tiktoken")
ADAPTER = ("adapter_config.json", "adapter_model.*")
INDEX = "model.safetensors.index.json"
QUANTO_FILE = "quanto_qmap.json"  # written by optimum-quanto, whose config.json says nothing
LONGEST_FILE = 500_000_000  # of a tokenizer or template; the largest in use has a tenth of it
LONGEST_REASON, LONGEST_VALUE = 300, 24
PLAIN_DTYPES = ("BF16", "F16", "F32", "F64")
MODELOPT = "hf_quant_config.json"
# Integers that are not codes of weights: positions and causal masks, which old versions of
# transformers saved, and DeepSeek-V4's table of experts by token.
INTEGERS = re.compile(
    r"(^|\.)(position_ids|token_type_ids|(attn|attention)\.(bias|masked_bias|causal_mask)|tid2eid)$"
)


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as the header of a safetensors file describes it, with a dtype such as `BF16`."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def n_bytes(self) -> int:
        """Size of the values in the file, in bytes."""
        bits = re.search(r"\d+", self.dtype)  # such as F8_E4M3; a BOOL has a byte
        return math.prod(self.shape) * (int(bits[0]) if bits else 8) // 8


def check_folder(folder: Path, *, tokenizer: bool = True) -> None:
    """Raise ModelError unless `folder` holds a decoder-only model that may be loaded.

    It must have config.json, complete safetensors weights, and (unless `tokenizer` is False) a
    tokenizer. Pickled weights and models that need their own code are refused. Reads headers of
    weights only.
    """
    if not folder.exists():
        message = (
            f"model folder '{folder}' does not exist. Expected a folder with config.json and "
            "*.safetensors, a hub id such as org/name, or phantom. Check the spelling, and the "
            "folder in which pytest was started."
        )
        raise ModelError(message)
    _check_files(folder)
    config = read_config(folder)
    _check_weights(folder)
    _check_format(folder, config)
    if tokenizer and not tokenizer_files(folder):
        message = (
            f"'{folder}' has no tokenizer. Expected tokenizer.json or tokenizer.model in the same "
            "folder. Save it there: AutoTokenizer.from_pretrained(...).save_pretrained(folder)."
        )
        raise ModelError(message)
    if config.get("auto_map") and not _is_native(config):
        message = (
            f"'{folder}' needs code of its own (auto_map in config.json), and code that comes "
            "with a model is never run here. Expected a model type that transformers knows. Use "
            "a version of the model converted for transformers 5."
        )
        raise ModelError(message)


def _check_files(folder: Path) -> None:
    """Raise ModelError for a pipe, a device, a folder or a huge text in place of a model's file."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix not in READ_SUFFIXES:
            continue
        try:
            state = path.stat()
        except OSError as error:
            message = f"cannot read '{path}': {error}. Fetch or save the model again."
            raise ModelError(message) from error
        if not stat.S_ISREG(state.st_mode):
            message = (
                f"'{path}' is not a regular file (a folder, a pipe or a device). Expected the "
                "files of a model. Remove it, or fetch the model again."
            )
            raise ModelError(message)
        if state.st_size > LONGEST_FILE and path.suffix != ".safetensors":
            message = (
                f"'{path}' has {state.st_size:,} bytes. Expected a configuration, tokenizer or "
                f"template of at most {LONGEST_FILE:,}. Fetch or save the model again."
            )
            raise ModelError(message)


def read_config(folder: Path) -> dict[str, Any]:
    """Return config.json of a model folder. Raises ModelError when it is missing or malformed."""
    path = folder / "config.json"
    if not path.is_file():
        what = "is a file, not a folder" if folder.is_file() else "has no config.json"
        if (folder / ADAPTER[0]).is_file():
            what = "holds a LoRA adapter without its model (merge them: merge_and_unload())"
        message = (
            f"'{folder}' {what}, so it is not a model. Expected a folder written by "
            "save_pretrained(): config.json, *.safetensors and tokenizer files."
        )
        raise ModelError(message)
    config = read_settings(path)
    if config.get("is_encoder_decoder"):
        message = (
            f"'{folder}' is an encoder-decoder model ({config.get('model_type')}). Expected a "
            "decoder-only model such as Llama, Qwen, Gemma, Mistral, GPT-2 or OPT."
        )
        raise ModelError(message)
    if "quantization_config" not in config and (folder / QUANTO_FILE).is_file():
        config["quantization_config"] = {"quant_method": QUANTO}
    return config


def read_settings(path: Path) -> dict[str, Any]:
    """Return the JSON object in a model's file, or an empty one where there is no such file.

    Raises ModelError when the file cannot be read or holds something else.
    """
    if not path.is_file():
        return {}
    try:
        found = read_json(path)
    except (ValueError, OSError) as error:
        message = f"cannot read '{path}': {error}. Expected JSON; save or download the model again."
        raise ModelError(message) from error
    if not isinstance(found, dict):
        message = f"'{path}' holds no JSON object. Save or download the model again."
        raise ModelError(message)
    return found


def unread_files(folder: Path) -> tuple[str, ...]:
    """Return a note for each file that transformers ignores and another program may read.

    These are pickled weights next to the safetensors files, and AutoGPTQ's quantize_config.json
    where it contradicts config.json.
    """
    pickled = sorted(path.name for name in PICKLED_WEIGHTS for path in folder.glob(name))
    other = "a program that reads it may run other weights"
    notes = [f"{name} was not read: {other}" for name in pickled]
    theirs, ours = read_settings(folder / AUTO_GPTQ), quantization_settings(read_config(folder))
    named = sorted(ours.keys() & theirs.keys() & CODES)
    apart = [
        f"{key} {str(theirs[key])[:LONGEST_VALUE]} instead of {str(ours[key])[:LONGEST_VALUE]}"
        for key in named
        if theirs[key] != ours[key]
    ]
    if apart:
        notes.append(f"{AUTO_GPTQ} was not read, and contradicts config.json: {', '.join(apart)}")
    return tuple(notes)


def tokenizer_files(folder: Path) -> list[Path]:
    """Return the files of a folder that hold a vocabulary."""
    return [path for pattern in TOKENIZER_FILES for path in folder.glob(pattern)]


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of a model folder that transformers reads, sorted.

    Raises ModelError for two sets of weights, and for an index that cannot be read, or that names
    a missing file or a file outside the folder.
    """
    named = _named_by_config(folder)
    single, index = folder / (named or "model.safetensors"), folder / (named or INDEX)
    if index.suffix == ".json" and index.is_file():
        files = _indexed(folder, index)
        if single.is_file() and single != index and files != [single]:
            raise _two_sets(folder, single.name, index.name)
        return files
    return [single] if single.is_file() else sorted(folder.glob("*.safetensors"))


def _named_by_config(folder: Path) -> str:
    path = folder / "config.json"
    named = read_config(folder).get("transformers_weights") if path.is_file() else None
    if named is None:
        return ""
    fits = isinstance(named, str) and PurePath(named).name == named
    if not fits or not named.endswith((".safetensors", ".safetensors.index.json")):
        message = (
            f"'{path}' names {named!r} as the weights (transformers_weights). Expected the name of "
            "a *.safetensors file, or of its index, in the same folder."
        )
        raise ModelError(message)
    return str(named)


def _indexed(folder: Path, index: Path) -> list[Path]:
    try:
        names = set(read_json(index)["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        message = f"cannot read '{index}': {error}. Save or download the model again."
        raise ModelError(message) from error
    odd = [name for name in names if not isinstance(name, str) or not _is_weight_file(name)]
    if odd:
        message = (
            f"'{index}' names {odd[0]!r} as a file of weights. Expected names of *.safetensors "
            "files in the same folder, without a path. Move all shards into one folder and "
            "correct the index, or save the model again."
        )
        raise ModelError(message)
    missing = sorted(name for name in names if not (folder / name).is_file())
    if missing or not names:
        message = (
            f"'{folder}' lacks {len(missing)} of {len(names)} weight files "
            f"({', '.join(missing[:1]) or 'the index names none'}, ...). "
            "The download or copy was cut short: fetch the model again."
        )
        raise ModelError(message)
    return [folder / name for name in sorted(names)]


def _is_weight_file(name: str) -> bool:
    return name.endswith(".safetensors") and not re.search(r"[/\\:\x00]", name)


def _two_sets(folder: Path, one: str, other: str) -> ModelError:
    return ModelError(
        f"'{folder}' holds two sets of weights: {one} and {other}. One program reads the first, "
        "another one the second, so a verdict would not say which was judged. Keep the files of "
        "one set in the folder, and move the others out of it."
    )


def count_parameters(folder: Path) -> int:
    """Return the number of values in the safetensors files of a model, from their headers.

    Raises ModelError for a file whose header or length is wrong.
    """
    return sum(math.prod(tensor.shape) for tensor in stored_tensors(folder).values())


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Return every tensor of the files that transformers reads, by its name in the files.

    Raises ModelError for a file whose header or length is wrong, and for a tensor in two files.
    """
    found: dict[str, StoredTensor] = {}
    for path in weight_files(folder):
        here = tensors_of(path)
        twice = sorted(found.keys() & here.keys())
        if twice:
            message = (
                f"'{folder}': {len(twice)} tensors are in two files ({twice[0]}, again in "
                f"{path.name}). Expected each one once. Save or download the model again."
            )
            raise ModelError(message)
        found.update(here)
    return found


def tensors_of(path: Path) -> dict[str, StoredTensor]:
    """Return the tensors of one safetensors file by name, from its header.

    The library checks that the shapes and places of the tensors fit each other and the length of
    the file. Raises ModelError where they do not.
    """
    from safetensors import SafetensorError, safe_open

    found = {}
    try:
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118 - not a dict
                tensor = file.get_slice(name)
                found[name] = StoredTensor(tensor.get_dtype(), tuple(tensor.get_shape()))
    except (OSError, SafetensorError) as error:
        message = (
            f"'{path}' is not a whole safetensors file: {str(error)[:LONGEST_REASON]}. The "
            "download or copy was cut short: fetch the model again."
        )
        raise ModelError(message) from error
    return found


def _check_weights(folder: Path) -> None:
    """Raise ModelError unless one set of whole safetensors weights is there, and no adapter."""
    adapter = [path.name for pattern in ADAPTER for path in folder.glob(pattern)]
    if adapter:
        message = (
            f"'{folder}' holds weights and a LoRA adapter ({adapter[0]}). Some programs add the "
            "adapter and others do not, so a verdict would not say which was judged. Merge it "
            "(peft's merge_and_unload(), then save_pretrained(new_folder)), or move it out of the "
            "folder."
        )
        raise ModelError(message)
    files = weight_files(folder)
    if files:
        count_parameters(folder)
        others = sorted(set(folder.glob("*.safetensors")) - set(files))
        for other in others:
            if other.is_file() and tensors_of(other):
                raise _two_sets(folder, files[0].name, other.name)
        return
    pickled = [path.name for pattern in PICKLED for path in folder.glob(pattern)]
    if pickled:
        message = (
            f"'{folder}' holds pickled weights only ({pickled[0]}), which can run code when "
            "loaded and are refused. Expected *.safetensors. Convert them once, where you trust "
            "them: AutoModelForCausalLM.from_pretrained(folder).save_pretrained(new_folder)."
        )
        raise ModelError(message)
    message = (
        f"'{folder}' has no weights. Expected model.safetensors, or model-0000x-of-0000y"
        ".safetensors with their index. Fetch or save the model again."
    )
    raise ModelError(message)


def _check_format(folder: Path, config: dict[str, Any]) -> None:
    """Raise ModelError for codes that transformers would load as if they were the weights."""
    kind = quantization_of(config)
    if kind and not is_known(kind):
        message = (
            f"'{folder}' is in the format {kind!r} (quant_method in config.json), which "
            "transformers does not read: it would load the codes as if they were the weights. "
            "Export the checkpoint in a format that it reads, such as compressed-tensors, GPTQ or "
            "AWQ, or save the dequantized weights."
        )
        raise ModelError(message)
    if kind:
        return
    if (folder / MODELOPT).is_file():
        message = (
            f"'{folder}' is a checkpoint of NVIDIA ModelOpt ({MODELOPT}). transformers does not "
            "read the format: it would load the codes as if they were the weights. Export it in a "
            "format that it reads, such as compressed-tensors, or save the dequantized weights."
        )
        raise ModelError(message)
    codes = [
        (name, tensor.dtype)
        for name, tensor in stored_tensors(folder).items()
        if tensor.dtype not in PLAIN_DTYPES and len(tensor.shape) > 1 and not INTEGERS.search(name)
    ]
    if codes:
        name, dtype = codes[0]
        message = (
            f"'{folder}' holds {len(codes)} tensors that are not plain floating-point numbers "
            f"({name}: {dtype}, ...), and config.json does not name their quantization format. "
            "transformers would load the codes as if they were the weights. Add the "
            "quantization_config of the tool that wrote them, or save the dequantized weights."
        )
        raise ModelError(message)


def _is_native(config: dict[str, Any]) -> bool:
    from transformers import CONFIG_MAPPING

    return config.get("model_type") in CONFIG_MAPPING

"""Where a model's files are: a folder, a hub id or the phantom, checked before they are read."""

from __future__ import annotations

import json
import math
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import ModelError, did_you_mean
from pytest_llmsafety.paths import user_path
from pytest_llmsafety.specs import PHANTOM

if TYPE_CHECKING:
    from pytest_llmsafety.specs import ModelSpec

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
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
WANTED = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken")
HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*(/[\w.-]+)?$")
LONGEST_HEADER = 100_000_000


def locate(spec: ModelSpec, *, tokenizer: bool = True) -> Path:
    """Return the folder that holds the model's files, fetched from the hub where needed.

    Raises ModelError when there is none, or when `check_folder` refuses it.
    """
    if spec.is_phantom:
        from pytest_llmsafety.phantom.weights import model_path

        return Path(model_path())
    folder = user_path(spec.name)
    if not folder.exists() and not _looks_like_a_path(spec.name):
        folder = _from_hub(spec)
    check_folder(folder, tokenizer=tokenizer)
    return folder.resolve()


def why_absent(spec: ModelSpec) -> str:
    """Why the model cannot be loaded from this machine, its hub cache included; empty if it can."""
    folder = user_path(spec.name)
    try:
        if spec.is_phantom:
            locate(spec)
            return ""
        if not folder.exists() and not _looks_like_a_path(spec.name):
            folder = _from_hub(spec, local=True)
        check_folder(folder)
    except ModelError as error:
        return str(error)
    return ""


def check_folder(folder: Path, *, tokenizer: bool = True) -> None:
    """Raise ModelError unless `folder` holds a decoder-only model that may be loaded.

    Looks for config.json, safetensors weights that are all there, and (unless `tokenizer` is
    False) a tokenizer; refuses pickled weights and models that need their own code. Reads no
    weights.
    """
    if not folder.exists():
        message = (
            f"model folder '{folder}' does not exist. Expected a folder with config.json and "
            "*.safetensors, a hub id such as org/name, or phantom. Check the spelling and the "
            "directory that pytest was started in."
        )
        raise ModelError(message)
    config = read_config(folder)
    _check_weights(folder)
    if tokenizer and not any(next(folder.glob(pattern), None) for pattern in TOKENIZER_FILES):
        message = (
            f"'{folder}' has no tokenizer. Expected tokenizer.json or tokenizer.model beside the "
            "weights. Save it there: AutoTokenizer.from_pretrained(...).save_pretrained(folder)."
        )
        raise ModelError(message)
    if config.get("auto_map") and not _is_native(config):
        message = (
            f"'{folder}' needs code of its own (auto_map in config.json), and code that comes "
            "with a model is never run here. Expected a model type that transformers knows. Use "
            "a version of the model converted for transformers 5."
        )
        raise ModelError(message)


def read_config(folder: Path) -> dict[str, Any]:
    """Return config.json of a model folder; ModelError when it is missing or malformed."""
    path = folder / "config.json"
    if not path.is_file():
        what = "is a file, not a folder" if folder.is_file() else "has no config.json"
        message = (
            f"'{folder}' {what}, so it is not a model. Expected a folder written by "
            "save_pretrained(): config.json, *.safetensors and tokenizer files."
        )
        raise ModelError(message)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        message = f"cannot read '{path}': {error}. Expected JSON; save or download the model again."
        raise ModelError(message) from error
    if not isinstance(config, dict):
        message = f"'{path}' holds no JSON object. Save or download the model again."
        raise ModelError(message)
    if config.get("is_encoder_decoder"):
        message = (
            f"'{folder}' is an encoder-decoder model ({config.get('model_type')}). Expected a "
            "decoder-only model such as Llama, Qwen, Gemma, Mistral, GPT-2 or OPT."
        )
        raise ModelError(message)
    return config


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of a model: those of the index, else model.safetensors, sorted.

    Raises ModelError for an index that cannot be read or that names a missing file.
    """
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        single = folder / "model.safetensors"
        return [single] if single.is_file() else sorted(folder.glob("*.safetensors"))
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        message = f"cannot read '{index}': {error}. Save or download the model again."
        raise ModelError(message) from error
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        message = (
            f"'{folder}' lacks {len(missing)} of {len(names)} weight files ({missing[0]}, ...). "
            "The download or copy was cut short: fetch the model again."
        )
        raise ModelError(message)
    return [folder / name for name in names]


def count_parameters(folder: Path) -> int:
    """Return the number of stored values of a model, read from the safetensors headers.

    Raises ModelError for a file whose header or length is wrong.
    """
    return sum(_count_values(path) for path in weight_files(folder))


def _count_values(path: Path) -> int:
    """Values in one safetensors file, whose header must agree with its length."""
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(size, LONGEST_HEADER)))
        header.pop("__metadata__", None)
        total = sum(math.prod(entry["shape"]) for entry in header.values())
        end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
        expected, found = 8 + size + end, path.stat().st_size
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise _cut_short(path, str(error)) from error
    if expected != found:
        raise _cut_short(path, f"{expected} bytes expected, {found} found")
    return int(total)


def _cut_short(path: Path, why: str) -> ModelError:
    """Return the error for a safetensors file that is not whole."""
    message = (
        f"'{path}' is not a whole safetensors file: {why}. The download or copy was cut short: "
        "fetch the model again."
    )
    return ModelError(message)


def _check_weights(folder: Path) -> None:
    """Raise ModelError unless whole safetensors weights are there."""
    if weight_files(folder):
        count_parameters(folder)
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


def _is_native(config: dict[str, Any]) -> bool:
    """Whether transformers itself knows the model type, so that its own code is not needed."""
    from transformers import CONFIG_MAPPING

    return config.get("model_type") in CONFIG_MAPPING


def _looks_like_a_path(name: str) -> bool:
    """Whether `name` can only be a folder, never a hub id."""
    return not HUB_ID.match(name) or name.startswith((".", "~")) or "\\" in name


def _from_hub(spec: ModelSpec, *, local: bool = False) -> Path:
    """Fetch the files of a hub model that are wanted, and return their folder.

    `local` fetches none: they have to be in the local hub cache. Raises ModelError that tells a
    missing, gated or unreachable repository apart.
    """
    import huggingface_hub
    from huggingface_hub import errors

    try:
        return Path(
            huggingface_hub.snapshot_download(
                spec.name,
                revision=spec.revision,
                allow_patterns=list(WANTED),
                local_files_only=local,
            )
        )
    except errors.GatedRepoError as error:
        hint = (
            "the hub keeps it behind an agreement (gated). Accept its terms on its page, then "
            "log in with `hf auth login` or set HF_TOKEN."
        )
        raise _hub_error(spec, hint) from error
    except errors.RevisionNotFoundError as error:
        hint = f"it has no revision '{spec.revision}'. Expected a branch, tag or commit of it."
        raise _hub_error(spec, hint) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        hint = (
            "neither a folder here nor a model on the hub has this name (or it is private: log "
            f"in with `hf auth login`). Expected a folder, org/name[@revision], or {PHANTOM}."
            + did_you_mean(spec.name, [PHANTOM])
        )
        raise _hub_error(spec, hint) from error
    except (ConnectionError, errors.EntryNotFoundError) as error:
        hint = (
            "no folder here has this name, it is not in the local hub cache, and the hub cannot "
            "be reached (no network, or HF_HUB_OFFLINE is set). Fetch it once with "
            f"`hf download {spec.name}`, or give the path of a folder."
            + did_you_mean(spec.name, [PHANTOM])
        )
        raise _hub_error(spec, hint) from error
    except OSError as error:
        hint = (
            f"the hub or the local hub cache failed: {error}. Expected a reachable hub and a "
            "writable cache with free space (HF_HOME). Try again, or give the path of a folder."
        )
        raise _hub_error(spec, hint) from error


def _hub_error(spec: ModelSpec, hint: str) -> ModelError:
    """Return the error for a hub model that could not be had, with what to do."""
    return ModelError(f"cannot get model '{spec}': {hint}")

"""Where a model's files are: a folder, a hub id or the phantom, checked before they are read."""

from __future__ import annotations

import math
import re
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import ModelError, did_you_mean
from pytest_llmsafety.json_files import parsed, read_json
from pytest_llmsafety.models.quantization_formats import QUANTO, is_known, quantization_of
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
READ_SUFFIXES = (".safetensors", ".json", ".jinja", ".txt", ".model", ".tiktoken")
HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*(/[\w.-]+)?$")
UNWANTED = ("consolidated*.safetensors",)  # the same weights once more, under other names
ADAPTER = ("adapter_config.json", "adapter_model.*")
INDEX = "model.safetensors.index.json"
QUANTO_FILE = "quanto_qmap.json"  # written by optimum-quanto, whose config.json says nothing
LONGEST_HEADER = 100_000_000
LONGEST_FILE = 500_000_000  # of a tokenizer or template; the largest in use has a tenth of it
LONGEST_REASON = 300
ENTRY = ("dtype", "shape", "data_offsets")
MOST_DIMENSIONS = 32
BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("BF16", "F16", "I16", "U16"), 16),
    **dict.fromkeys(("BOOL", "I8", "U8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}
PLAIN_DTYPES = ("BF16", "F16", "F32", "F64")
MODELOPT = "hf_quant_config.json"
# Positions and causal masks, which old versions of transformers saved, and DeepSeek-V4's table of
# experts by token: integers that are no codes of weights.
INTEGERS = re.compile(
    r"(^|\.)(position_ids|token_type_ids|(attn|attention)\.(bias|masked_bias|causal_mask)|tid2eid)$"
)


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a safetensors file, as its header describes it (dtype: `BF16`, `I8`, ...)."""

    dtype: str
    shape: tuple[int, ...]
    n_bytes: int


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
    _check_files(folder)
    config = read_config(folder)
    _check_weights(folder)
    _check_format(folder, config)
    if tokenizer and not tokenizer_files(folder):
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


def _check_files(folder: Path) -> None:
    """Raise ModelError for a pipe, a device, a folder or a huge text in place of a model's file."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix not in READ_SUFFIXES:
            continue
        try:
            told = path.stat()
        except OSError as error:
            message = f"cannot read '{path}': {error}. Fetch or save the model again."
            raise ModelError(message) from error
        if not stat.S_ISREG(told.st_mode):
            message = (
                f"'{path}' is not a regular file (a folder, a pipe or a device). Expected the "
                "files of a model. Remove it, or fetch the model again."
            )
            raise ModelError(message)
        if told.st_size > LONGEST_FILE and path.suffix != ".safetensors":
            message = (
                f"'{path}' has {told.st_size:,} bytes. Expected a configuration, tokenizer or "
                f"template of at most {LONGEST_FILE:,}. Fetch or save the model again."
            )
            raise ModelError(message)


def read_config(folder: Path) -> dict[str, Any]:
    """Return config.json of a model folder; ModelError when it is missing or malformed."""
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
    try:
        config = read_json(path)
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
    if "quantization_config" not in config and (folder / QUANTO_FILE).is_file():
        config["quantization_config"] = {"quant_method": QUANTO}
    return config


def tokenizer_files(folder: Path) -> list[Path]:
    """Return the files of a folder that hold a vocabulary; none where it has no tokenizer."""
    return [path for pattern in TOKENIZER_FILES for path in folder.glob(pattern)]


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files that transformers reads of a model folder, sorted.

    Raises ModelError for a folder with two sets of weights, and for an index that cannot be read,
    or that names a missing file or one outside the folder itself.
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
    """Return the file that config.json names as the weights; empty where it names none."""
    path = folder / "config.json"
    named = read_config(folder).get("transformers_weights") if path.is_file() else None
    if named is None:
        return ""
    fits = isinstance(named, str) and Path(named).name == named
    if not fits or not named.endswith((".safetensors", ".safetensors.index.json")):
        message = (
            f"'{path}' names {named!r} as the weights (transformers_weights). Expected the name of "
            "a *.safetensors file, or of its index, in the same folder."
        )
        raise ModelError(message)
    return str(named)


def _indexed(folder: Path, index: Path) -> list[Path]:
    """Return the files that an index names, all of which have to lie in the folder itself."""
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
    """Whether `name` is that of a safetensors file without a folder, on any system."""
    return name.endswith(".safetensors") and not re.search(r"[/\\:\x00]", name)


def _two_sets(folder: Path, one: str, other: str) -> ModelError:
    """Return the error for a folder in which two programs may read different weights."""
    return ModelError(
        f"'{folder}' holds two sets of weights: {one} and {other}. One program reads the first, "
        "another one the second, so a verdict would not say which was judged. Keep the files of "
        "one set in the folder, and move the others out of it."
    )


def count_parameters(folder: Path) -> int:
    """Return the number of stored values of a model, read from the safetensors headers.

    Raises ModelError for a file whose header or length is wrong.
    """
    return sum(math.prod(tensor.shape) for tensor in stored_tensors(folder).values())


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Return every tensor of the files that transformers reads, by its name there.

    Raises ModelError for a file whose header or length is wrong, and for a name that two files
    hold.
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
    """Return the tensors of one safetensors file, whose header must agree with its length.

    A tensor begins where the one before it ends, and has as many bytes as its shape needs; so the
    sizes that the header states are those of the file.
    """
    try:
        length = path.stat().st_size
        size, header = _header(path, length)
        header.pop("__metadata__", None)
        places = {name: _place(name, entry) for name, entry in header.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise _cut_short(path, str(error)) from error
    end = 0
    for name, (tensor, start) in sorted(places.items(), key=_where):
        if start != end:
            why = f"{name} begins at byte {start}, where the tensor before it ends at {end}"
            raise _cut_short(path, why)
        end = start + tensor.n_bytes
    if 8 + size + end != length:
        raise _cut_short(path, f"{8 + size + end} bytes expected, {length} found")
    return {name: tensor for name, (tensor, _) in places.items()}


def _header(path: Path, length: int) -> tuple[int, dict[str, Any]]:
    """Return the size of a header and what it holds. Raises ValueError for one that is neither."""
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        if size > min(length, LONGEST_HEADER):
            message = f"its header is said to have {size:,} bytes"
            raise ValueError(message)
        header = parsed(file.read(size))
    if not isinstance(header, dict):
        message = "its header is not a JSON object"
        raise ValueError(message)  # noqa: TRY004 - as for other headers
    return size, header


def _where(item: tuple[str, tuple[StoredTensor, int]]) -> tuple[int, int]:
    """Where a tensor lies; one without values lies before the one that begins at the same byte."""
    tensor, start = item[1]
    return start, tensor.n_bytes


def _place(name: str, entry: dict[str, Any]) -> tuple[StoredTensor, int]:
    """Return one tensor of a header, and where it begins. Raises ValueError unless they fit."""
    if not isinstance(entry, dict) or not all(entry.get(key) is not None for key in ENTRY):
        message = f"{name} has no {', '.join(ENTRY)}"
        raise ValueError(message)
    dtype, shape, offsets = (entry[key] for key in ENTRY)
    whole = all(type(number) is int and number >= 0 for number in (*shape, *offsets))
    if not whole or len(shape) > MOST_DIMENSIONS or len(offsets) != len(("start", "end")):
        message = f"{name} has the shape {shape} and the offsets {offsets}"
        raise ValueError(message)
    n_bytes, bits = offsets[1] - offsets[0], BITS.get(str(dtype))
    expected = math.prod(shape) * (bits or 1)
    if n_bytes < 0 or (8 * n_bytes != expected if bits else 8 * n_bytes < expected):
        message = f"{name}, {dtype} of shape {shape}, has {n_bytes} bytes"
        raise ValueError(message)
    return StoredTensor(str(dtype), tuple(shape), n_bytes), offsets[0]


def _cut_short(path: Path, why: str) -> ModelError:
    """Return the error for a safetensors file that is not whole."""
    message = (
        f"'{path}' is not a whole safetensors file: {why[:LONGEST_REASON]}. The download or copy "
        "was cut short: fetch the model again."
    )
    return ModelError(message)


def _check_weights(folder: Path) -> None:
    """Raise ModelError unless one set of whole safetensors weights is there, and no adapter."""
    adapter = [path.name for pattern in ADAPTER for path in folder.glob(pattern)]
    if adapter:
        message = (
            f"'{folder}' holds a LoRA adapter ({adapter[0]}) beside the weights. Some programs add "
            "it to them and others do not, so a verdict would not say which was judged. Merge it "
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
            f"'{folder}' holds {len(codes)} tensors that are no plain floating-point numbers "
            f"({name}: {dtype}, ...), and config.json names no quantization format that says what "
            "they stand for. transformers would load the codes as if they were the weights. Add "
            "the quantization_config of the tool that wrote them, or save the dequantized weights."
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
                ignore_patterns=list(UNWANTED),
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

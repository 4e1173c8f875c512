"""Compare the size of the model that config.json describes with its files, and with free memory.

transformers builds what config.json says, and fills what the files lack with random numbers. A
wrong or hostile number in it would take hours, or all memory.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import ModelError
from pytest_llmsafety.models.device import container, free_bytes, swap_bytes
from pytest_llmsafety.models.model_folder import stored_tensors
from pytest_llmsafety.models.quantization_formats import quantization_of, unpacked_here

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_llmsafety.models.model_folder import StoredTensor

LAYERS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "decoder_layers")
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
MOST_EXPERTS = 100_000
READABLE, LARGEST = 1e15, 1e300
SLACK = 2  # tied weights may be stored once; absent ones are named when the model is loaded
GIGABYTE = 1e9
REMEDY = "Does it belong to these weights? Fetch or save the model again."


def check_size(folder: Path, config: Mapping[str, Any], *, dtype: str, device: str) -> None:
    """Raise ModelError when config.json describes more than the files or the free memory hold.

    Builds the model without its weights, on torch's `meta` device.
    """
    stored = stored_tensors(folder)
    kind = quantization_of(config)
    says = f"'{folder}': config.json"
    _check_counts(says, config, len(stored))
    described = _described(str(folder))
    _check_values(says, described, _capacity(stored, packed=bool(kind)))
    plain = not kind or unpacked_here(config)
    size = sum(tensor.n_bytes for tensor in stored.values())
    if not device.startswith("cuda"):
        _check_memory(folder, described * _width(dtype) if plain else size, dtype)


def check_gguf_size(path: Path, *, dtype: str, device: str) -> None:
    """Raise ModelError when a GGUF file describes more than its tensors, or than memory holds."""
    import gguf
    import transformers

    options = {"gguf_file": path.name}
    try:
        tensors = gguf.GGUFReader(str(path)).tensors
        config: Any = transformers.AutoConfig.from_pretrained(
            str(path.parent), trust_remote_code=False, local_files_only=True, **options
        )
    except Exception:  # noqa: BLE001 - the loading itself says why
        return
    says = f"'{path}': its metadata"
    _check_counts(says, config.to_dict(), len(tensors))
    described = _described(str(path.parent), **options)
    _check_values(says, described, sum(int(tensor.n_elements) for tensor in tensors))
    if not device.startswith("cuda"):
        _check_memory(path, described * _width(dtype), dtype)


def _check_counts(says: str, config: Mapping[str, Any], n_tensors: int) -> None:
    """Raise ModelError for more layers than tensors, or for more experts than any model has."""
    for name, number in _counts(config):
        if number > (n_tensors if name in LAYERS else MOST_EXPERTS):
            shown = f"{number:,}" if number < READABLE else f"{number:.3g}"
            message = f"{says} says {name} = {shown}, and the files hold {n_tensors:,} tensors. "
            raise ModelError(message + REMEDY)


def _check_values(says: str, described: int, held: int) -> None:
    if described > SLACK * held:
        message = (
            f"{says} describes a model of {described:.3g} values, and the files hold {held:.3g}. "
        )
        raise ModelError(message + REMEDY)


def _counts(config: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    text = config.get("text_config")
    for part in (config, text if isinstance(text, dict) else {}):
        for name in (*LAYERS, *EXPERTS):
            number = part.get(name)
            if isinstance(number, (int, float)):
                yield name, min(number, LARGEST)


def _described(folder: str, **options: str) -> int:
    """Return the number of values of the described model; 0 where it cannot be built."""
    import torch
    import transformers

    try:
        config: Any = transformers.AutoConfig.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True, **options
        )
        with torch.device("meta"):
            model: Any = transformers.AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    except Exception:  # noqa: BLE001 - the loading itself says why
        return 0
    return sum(parameter.numel() for parameter in model.parameters())


def _capacity(stored: Mapping[str, StoredTensor], *, packed: bool) -> int:
    """Return how many values the files can stand for: a code has at least one bit."""
    if packed:
        return sum(8 * tensor.n_bytes for tensor in stored.values())
    return sum(math.prod(tensor.shape) for tensor in stored.values())


def _width(dtype: str) -> int:
    import torch

    return int(getattr(torch, dtype).itemsize)


def _check_memory(folder: Path, needed: int, dtype: str) -> None:
    free, limit = free_bytes("cpu"), container()
    room = free + (0 if limit else swap_bytes())
    if not free or needed <= room:
        return
    where = f" in this container, whose limit is {limit.limit / GIGABYTE:.1f} GB" if limit else ""
    message = (
        f"'{folder}' does not fit into memory: its weights need {needed / GIGABYTE:.1f} GB in "
        f"{dtype}, and {room / GIGABYTE:.1f} GB are free{where}. Use --llmsafety-dtype bfloat16, a "
        "smaller model, or a machine with more memory."
    )
    raise ModelError(message)

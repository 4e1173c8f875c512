"""Load a model from a folder or a GGUF file, and check that it is the model that was stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import transformers
from transformers.pytorch_utils import Conv1D

from pytest_llmsafety.errors import ModelError, first_line
from pytest_llmsafety.libraries import quiet_transformers
from pytest_llmsafety.models.gguf_file import complete
from pytest_llmsafety.models.model_folder import read_config
from pytest_llmsafety.models.quantization_formats import (
    lacking,
    quantization_of,
    unpacked_here,
    why_unreadable,
)
from pytest_llmsafety.models.size import check_gguf_size, check_size
from pytest_llmsafety.models.unpack import dense_state
from pytest_llmsafety.models.unused_tensors import check_used

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel


def load_model(folder: Path, *, dtype: str, device: str) -> PreTrainedModel:
    """Load the model of a folder onto `device`, for evaluation.

    A GPTQ or AWQ checkpoint whose package is absent is loaded as a plain model, with the values
    that its codes stand for. Raises ModelError when the model cannot be loaded, when the package
    of its format is absent, when a weight is absent from the files (transformers would fill it
    with random numbers), or when the model has no place for one of their tensors.
    """
    config = read_config(folder)
    kind, why = quantization_of(config), why_unreadable(config)
    if why:
        message = f"'{folder}' {why}"
        raise ModelError(message)
    with quiet_transformers():
        check_size(folder, config, dtype=dtype, device=device)
    options: dict[str, Any] = {"pretrained_model_name_or_path": str(folder)}
    if unpacked_here(config):
        return _loaded(folder, dtype, device, _unpacked(folder, dtype, device))
    if kind:
        options["device_map"] = {"": device}
    return _decompressed(_loaded(folder, dtype, device, {"use_safetensors": True, **options}))


def load_gguf(path: Path, *, dtype: str, device: str) -> PreTrainedModel:
    """Load the model of a GGUF file onto `device`. Raises ModelError as `load_model` does."""
    with quiet_transformers():
        check_gguf_size(path, dtype=dtype, device=device)
    options = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    return _loaded(path, dtype, device, {**options, "device_map": {"": device}})


def _unpacked(folder: Path, dtype: str, device: str) -> dict[str, Any]:
    """Return the options of `_loaded` for a packed checkpoint as a plain model."""
    try:
        config: Any = transformers.AutoConfig.from_pretrained(
            str(folder), trust_remote_code=False, local_files_only=True
        )
        vars(config).pop("quantization_config", None)
        with torch.device("meta"):
            empty = transformers.AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
        written = None
        if (folder / "generation_config.json").is_file():
            written = transformers.GenerationConfig.from_pretrained(folder)
    except Exception as error:
        raise ModelError(_why(folder, device, error)) from error
    if any(isinstance(module, Conv1D) for module in empty.modules()):
        message = (
            f"'{folder}' has packed Conv1D layers, which are not unpacked here. Install the "
            f"package of its format: {lacking(quantization_of(read_config(folder)))}."
        )
        raise ModelError(message)
    shapes = {name: tuple(tensor.shape) for name, tensor in empty.named_parameters()}
    return {
        "loader": type(empty),
        "pretrained_model_name_or_path": None,
        "config": config,
        "generation_config": written,
        "state_dict": dense_state(folder, getattr(torch, dtype), shapes),
    }


def _decompressed(model: PreTrainedModel) -> PreTrainedModel:
    """Let compressed-tensors unpack its layers now, in the dtype of the model.

    It would unpack them at the first pass, NVFP4 and MXFP4 weights in bfloat16, which a model in
    float32 cannot multiply. The rounding of inputs stays.
    """
    quantizer: Any = getattr(model, "hf_quantizer", None)
    packer = getattr(quantizer, "compressor", None)
    if packer is None or not quantizer.quantization_config.is_quantization_compressed:
        return model
    packer.decompress_model(model)
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if hasattr(module, "quantization_scheme") and weight is not None:
            weight.data = weight.data.to(model.dtype)
    return model


def _loaded(what: Path, dtype: str, device: str, options: dict[str, Any]) -> PreTrainedModel:
    """Load `what` with these options, and check that every weight was there and is used."""
    loader = options.pop("loader", transformers.AutoModelForCausalLM)
    with quiet_transformers():
        try:
            loaded: Any = loader.from_pretrained(
                dtype=getattr(torch, dtype),
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # refused below, with the name of the weight
                **options,
            )
            model, report = loaded
            model.name_or_path = str(what)
            if "device_map" not in options:
                model = model.to(device)
        except Exception as error:
            raise ModelError(_why(what, device, error)) from error
    absent = sorted(report.get("missing_keys") or ())
    wrong = [str(key[0]) for key in report.get("mismatched_keys") or ()]
    if absent or wrong:
        name = (absent + wrong)[0]
        message = (
            f"'{what}': {len(absent)} weights are absent and {len(wrong)} have another shape "
            f"({name}, ...). transformers would fill them with random numbers. Expected a weight "
            "for every layer: check that config.json is the right one, and save the model again."
        )
        raise ModelError(message)
    unused = sorted(report.get("unexpected_keys") or ())
    if "gguf_file" in options:
        complete(what, model, unused)
    else:
        check_used(what, model, unused, options.get("state_dict") or {})
    return model.eval().requires_grad_(requires_grad=False)  # type: ignore[no-any-return]


def _why(folder: Path, device: str, error: Exception) -> str:
    if is_out_of_memory(error):
        return (
            f"'{folder}' does not fit into the memory of {device}. Use --llmsafety-dtype "
            "bfloat16, a smaller model, or a device with more free memory."
        )
    files = (
        "in a whole GGUF file"
        if folder.is_file()
        else "with whole safetensors weights (a packed checkpoint also needs its library)"
    )
    return (
        f"cannot load '{folder}': {type(error).__name__}: {first_line(error)}. Expected a "
        f"decoder-only model that transformers {transformers.__version__} knows, {files}."
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out, on a GPU or a CPU."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    texts = ("out of memory", "can't allocate memory")  # torch has no type for these on a CPU
    return any(text in str(error).lower() for text in texts)

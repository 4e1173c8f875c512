"""What computes the layers of a loaded checkpoint: plain tensors, or a package's own classes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.models.quantization_formats import quantization_of, rounds_inputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from transformers import PreTrainedModel


ROUND_TO_8_BITS = ("FP8Experts", "FP8Linear", "FbgemmFp8Linear", "Linear8bitLt")
"""Classes of transformers and bitsandbytes whose kernels multiply inputs in 8 bits."""


@dataclass(frozen=True)
class Execution:
    """What ran, in words; `input_bits` are those to which the inputs of layers are rounded."""

    notes: tuple[str, ...]
    input_bits: float | None


def execution(model: PreTrainedModel, told: Mapping[str, Any], asked: str) -> Execution:
    """Look at the layers of a model that was loaded; `told` is its quantization_config.

    `asked` is the dtype that the model was asked for, empty where that is not known.
    """
    kind = quantization_of({"quantization_config": told})
    if not kind:
        return Execution((), None)
    layers = _layers(model)
    packages = Counter(_package(layer) for layer in layers)
    plain = packages.pop("", 0)
    by = " and ".join(f"{count} layers by {name}" for name, count in packages.items())
    dtype = str(model.dtype).removeprefix("torch.")
    if not packages:
        how = f"dequantized: plain {dtype} layers ran, and no kernels of a package"
    else:
        rest = f"; {plain} plain layers" if plain else ""
        how = f"run by its package in {dtype}: {by}{rest}"
    notes = [f"{kind} checkpoint, {how}"]
    if asked and dtype != asked:
        notes.append(f"its package computes in {dtype}, the dense model in {asked}")
    bits = min((b for b in map(_input_bits, layers) if b is not None), default=None)
    if bits is None and not packages and rounds_inputs(told):
        notes.append(
            f"the kernels of {kind} round the inputs of layers, too, which was not done here"
        )
    return Execution(tuple(notes), bits)


def _layers(model: PreTrainedModel) -> list[torch.nn.Module]:
    """The modules, of whatever class, that hold matrices of their own, embeddings left out."""
    import torch

    output = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    return [
        module
        for module in model.modules()
        if module is not output and not isinstance(module, torch.nn.Embedding)
        if any(tensor.dim() > 1 for tensor in _own_tensors(module)) or _is_expert_kernel(module)
    ]


def _own_tensors(module: torch.nn.Module) -> list[torch.Tensor]:
    """Parameters and buffers of a module without those of its children."""
    return [*module.parameters(recurse=False), *module.buffers(recurse=False)]


def _is_expert_kernel(module: torch.nn.Module) -> bool:
    """Whether transformers computes experts by a kernel here, which keeps its tensors to itself."""
    kind = type(module)
    return kind.__module__.startswith("transformers.integrations") and "Experts" in kind.__name__


def _package(layer: torch.nn.Module) -> str:
    """The package and class that compute a layer; empty for a plain layer with plain weights."""
    import torch

    kind = type(layer)
    own = kind.__module__.startswith(("torch.nn.", "transformers.models.", "transformers.pytorch"))
    if not own:
        return _named(kind)
    for weight in _own_tensors(layer):
        if type(weight.data) is not torch.Tensor:
            return _named(type(weight.data))
        if weight.is_floating_point() and weight.itemsize == 1:
            return f"its packed {weight.dtype}"
    return ""


def _named(kind: type) -> str:
    """A class with the package that it comes from."""
    return f"{kind.__module__.partition('.')[0]} ({kind.__name__})"


def _input_bits(layer: torch.nn.Module) -> float | None:
    """The bits to which a package rounds the inputs of a layer; None where it does not."""
    if type(layer).__name__ in ROUND_TO_8_BITS:
        return 8.0
    scheme = getattr(getattr(layer, "quantization_scheme", None), "input_activations", None)
    if scheme is not None:
        return float(scheme.num_bits)
    weight = getattr(getattr(layer, "weight", None), "data", None)
    rounded = ("act_quant_kwargs", "activation_quantization")
    return 8.0 if any(getattr(weight, name, None) is not None for name in rounded) else None

"""The size of a model in its files: as a whole, and layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmsafety.errors import ModelError
from pytest_llmsafety.models.model_folder import stored_tensors, weight_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.record import CompressionRecord

    Parameters = Mapping[str, tuple[str, int]]


@dataclass(frozen=True)
class OnDisk:
    """Bytes of all weight files, and of each stored tensor by the name that it has there."""

    total: int
    tensors: Mapping[str, int]

    def parameter(self, name: str, prefix: str) -> int | None:
        """Return the bytes of a parameter with the scales of its codes; None if it is not stored.

        A weight may be stored in several tensors (codes, scales, zero points), and without the
        `prefix` that all layers of the model share (`transformer` in GPT-2).
        """
        for start in (name, name.removeprefix(f"{prefix}.")):
            layer = start.removesuffix(".weight")
            parts = f"{layer}." if layer != start else f"{start}_"  # `experts.down_proj_scales`
            found = [
                size
                for tensor, size in self.tensors.items()
                if tensor == start or (tensor.startswith(parts) and not tensor.endswith("bias"))
            ]
            if found:
                return sum(found)
        return None


def dense_bytes(model: PreTrainedModel) -> int:
    """Return the bytes of all parameters as they are in memory, tied ones counted once."""
    return sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())


def stored_bytes(model: PreTrainedModel) -> int:
    """Return the bytes of the files that a dense model was loaded from, or else of its parameters.

    In memory a model may have other numbers: 16 bits in the file are 32 on a CPU.
    """
    folder = _folder(model)
    if folder is not None:
        return sum(path.stat().st_size for path in weight_files(folder)) or dense_bytes(model)
    return dense_bytes(model)


def _folder(model: PreTrainedModel) -> Path | None:
    """Return the folder of safetensors that a model was loaded from; None where there is none."""
    folder = Path(model.name_or_path or "")
    try:
        found = model.name_or_path and folder.is_dir() and weight_files(folder)
    except ModelError:  # whoever loads the model says what is wrong with it
        return None
    return folder if found else None


def stored_dense(model: PreTrainedModel) -> OnDisk | None:
    """Return the files that a dense model was loaded from; None where there are none.

    A tensor that is stored twice and shared in memory counts once.
    """
    folder = _folder(model)
    if folder is None:
        return None
    stored = of_folder(folder)
    shared = sum(stored.tensors.get(name, 0) for name in _copies(model) & stored.tensors.keys())
    return OnDisk(sum(stored.tensors.values()) - shared, stored.tensors)


def _copies(model: PreTrainedModel) -> set[str]:
    """Return the names of parameters that are another one under a second name."""
    once = {name for name, _ in model.named_parameters()}
    return {name for name, _ in model.named_parameters(remove_duplicate=False)} - once


def as_stored(
    record: CompressionRecord, dense: OnDisk | None, dense_bits: float, parameters: Parameters
) -> CompressionRecord:
    """Return a record made in memory with the bits and bytes of the dense model's own files.

    `dense_bits` are the bits of a value in memory. `parameters` holds the name and the number of
    values of each layer. What is packed keeps its size; all else has the size that it has in the
    files.
    """
    if dense is None or not record.bytes_before:
        return record
    share = dense.total / record.bytes_before
    stored = {
        layer: size if (size := dense.parameter(name, "")) else count * dense_bits / 8 * share
        for layer, (name, count) in parameters.items()
    }
    layers = []
    saved = 0.0
    for layer, bits, zeros in record.layers:
        _, count = parameters.get(layer, ("", 0))
        if bits < dense_bits or not count:
            saved += stored.get(layer, 0) - bits * count / 8
            layers.append((layer, bits, zeros))
        else:
            layers.append((layer, 8 * stored[layer] / count, zeros))
    whole = record.bytes_after >= record.bytes_before
    cut = not whole and not any(bits < dense_bits for _, bits, _ in record.layers)
    after = record.bytes_after * share if cut else dense.total - (0 if whole else saved)
    return replace(
        record,
        bits=record.bits
        if record.bits < dense_bits
        else _mean_bits(layers, parameters, share * dense_bits),
        bytes_before=dense.total,
        bytes_after=round(after),
        layers=tuple(layers),
    )


def _mean_bits(
    layers: Sequence[tuple[str, float, float]], parameters: Parameters, otherwise: float
) -> float:
    """Return the mean bits of a value of these layers; `otherwise` where no layer is known."""
    counts = {name: parameters[name][1] for name, _, _ in layers if name in parameters}
    bits = sum(each * counts.get(name, 0) for name, each, _ in layers)
    return bits / sum(counts.values()) if counts else otherwise


def of_folder(folder: Path) -> OnDisk:
    """Return the sizes in the safetensors files of a model folder, read from their headers."""
    tensors = {name: tensor.n_bytes for name, tensor in stored_tensors(folder).items()}
    return OnDisk(sum(path.stat().st_size for path in weight_files(folder)), tensors)


def of_gguf(path: Path, parameters: list[str]) -> OnDisk:
    """Return the sizes in a GGUF file, with `parameters` under their own names.

    GGUF has names of its own; the gguf package knows them for every architecture.
    """
    import gguf

    reader = gguf.GGUFReader(str(path))
    sizes = {str(tensor.name): int(tensor.n_bytes) for tensor in reader.tensors}
    field = reader.get_field("general.architecture")
    named = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}
    number = named.get(str(field.contents())) if field else None
    tensors = {}
    if number is not None:
        names = gguf.get_tensor_name_map(number, len(parameters))
        for parameter in parameters:
            stored = names.get_name(parameter, try_suffixes=(".weight", ".bias"))
            if stored in sizes:
                tensors[parameter] = sizes.pop(stored)
    return OnDisk(path.stat().st_size, {**sizes, **tensors})

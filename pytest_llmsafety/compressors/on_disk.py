"""How large a compressed model is in its files: as a whole, and layer by layer."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmsafety.compressors.base import dense_bytes
from pytest_llmsafety.formats import quantization_of
from pytest_llmsafety.source import read_config, stored_tensors, weight_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.record import CompressionRecord


@dataclass(frozen=True)
class OnDisk:
    """Bytes of all weight files, and of each stored tensor by the name that it has there."""

    total: int
    tensors: Mapping[str, int]

    def parameter(self, name: str, prefix: str) -> int | None:
        """Bytes of a parameter with the scales of its codes; None when no stored one has its name.

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


def stored_bytes(model: PreTrainedModel) -> int:
    """Bytes of the files that a dense model was loaded from; of its parameters if it has none.

    In memory a model may have other numbers: 16 bits in the file are 32 on a CPU.
    """
    folder = _folder(model)
    if folder is not None:
        return sum(path.stat().st_size for path in weight_files(folder)) or dense_bytes(model)
    return dense_bytes(model)


def _folder(model: PreTrainedModel) -> Path | None:
    """The folder that a model was loaded from; None for one that was made in memory."""
    folder = Path(model.name_or_path or "")
    return folder if model.name_or_path and folder.is_dir() else None


def stored_share(model: PreTrainedModel) -> float:
    """Bytes of a value in the files that a dense model was loaded from, over those in memory.

    1 where the model has no files. A tensor that is stored twice and shared in memory counts once.
    """
    folder = _folder(model)
    if folder is None:
        return 1.0
    stored = stored_tensors(folder).values()
    size, in_memory = sum(tensor.n_bytes for tensor in stored), dense_bytes(model)
    if not size or not in_memory:
        return 1.0
    if quantization_of(read_config(folder)):
        return size / in_memory
    values = sum(math.prod(tensor.shape) for tensor in stored)
    return size / values / (in_memory / model.num_parameters())


def as_stored(
    record: CompressionRecord, share: float, dense_bits: float, counts: Mapping[str, int]
) -> CompressionRecord:
    """Return a record made in memory with the bits and bytes of the dense model's own files.

    `share` is `stored_share` of the dense model and `dense_bits` the bits of a value in memory;
    `counts` holds the values of each layer. Packed layers are as large as they were.
    """
    if math.isclose(share, 1):
        return record
    smaller = record.bytes_after < record.bytes_before
    packed = sum(
        bits * counts.get(name, 0) / 8
        for name, bits, _ in record.layers
        if smaller and bits < dense_bits
    )
    layers = tuple(
        (name, bits if bits < dense_bits else bits * share, zeros)
        for name, bits, zeros in record.layers
    )
    return replace(
        record,
        bits=record.bits if record.bits < dense_bits else record.bits * share,
        bytes_before=round(record.bytes_before * share),
        bytes_after=round((record.bytes_after - packed) * share + packed),
        layers=layers,
    )


def of_folder(folder: Path) -> OnDisk:
    """What the safetensors files of a model folder hold, read from their headers."""
    tensors = {name: tensor.n_bytes for name, tensor in stored_tensors(folder).items()}
    return OnDisk(sum(path.stat().st_size for path in weight_files(folder)), tensors)


def of_gguf(path: Path, parameters: list[str]) -> OnDisk:
    """What a GGUF file holds of `parameters`, each under its own name.

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

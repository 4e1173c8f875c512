"""How large a compressed model is in its files: as a whole, and layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_llmsafety.source import stored_tensors, weight_files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


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

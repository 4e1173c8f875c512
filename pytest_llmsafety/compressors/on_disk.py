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

    def layer(self, name: str, prefix: str) -> int | None:
        """Bytes of a layer without its bias; None when no stored tensor has its name.

        A layer may be stored in several tensors (codes, scales, zero points), and without the
        `prefix` that all layers of the model share (`transformer` in GPT-2).
        """
        for start in (name, name.removeprefix(f"{prefix}.")):
            found = [
                size
                for tensor, size in self.tensors.items()
                if tensor.startswith(f"{start}.") and tensor != f"{start}.bias"
            ]
            if found:
                return sum(found)
        return None


def of_folder(folder: Path) -> OnDisk:
    """What the safetensors files of a model folder hold, read from their headers."""
    tensors = {name: tensor.n_bytes for name, tensor in stored_tensors(folder).items()}
    return OnDisk(sum(path.stat().st_size for path in weight_files(folder)), tensors)


def of_gguf(path: Path, layers: list[str]) -> OnDisk:
    """What a GGUF file holds of `layers`, each under the layer's own name.

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
        names = gguf.get_tensor_name_map(number, len(layers))
        for layer in layers:
            stored = names.get_name(f"{layer}.weight", try_suffixes=(".weight",))
            if stored in sizes:
                tensors[f"{layer}.weight"] = sizes[stored]
    return OnDisk(path.stat().st_size, tensors)

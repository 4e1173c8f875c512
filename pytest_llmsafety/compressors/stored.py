"""Compressed models on disk, so that a second run need not compress again.

One safetensors file a model, named by the digest of its arm (weights, recipe, calibration,
versions), and beside it a JSON file with the record and the digest of the tensors. Both are
written under another name first, the JSON file last: a model is there when that file is.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.errors import CacheError

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from transformers import PreTrainedModel

GIGABYTE = 10**9


@dataclass(frozen=True)
class Store:
    """A folder of compressed models that together have at most `limit_bytes`."""

    folder: Path
    limit_bytes: int


@dataclass(frozen=True)
class StoredModel:
    """The place of one compressed model; `limit_bytes` bounds the whole folder."""

    folder: Path
    digest: str
    limit_bytes: int

    @property
    def weights(self) -> Path:
        """The tensors."""
        return self.folder / f"{self.digest}.safetensors"

    @property
    def about(self) -> Path:
        """The record and the digest of the tensors."""
        return self.folder / f"{self.digest}.json"

    def load(self, model: PreTrainedModel) -> CompressionRecord | None:
        """Put the stored weights into the dense `model`; None when nothing is stored.

        Raises CacheError when a file is damaged or does not fit the model.
        """
        if not self.about.is_file():
            return None
        record, state = self._read()
        wanted = {name: tensor.shape for name, tensor in _unique(model).items()}
        if wanted != {name: tensor.shape for name, tensor in state.items()}:
            raise self._damaged(ValueError("its tensors are not those of this model"))
        model.load_state_dict(state, strict=False)
        os.utime(self.about)  # used last: deleted last
        return record

    def _read(self) -> tuple[CompressionRecord, dict[str, torch.Tensor]]:
        """The record and the tensors, checked against the digest that was written with them."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            about = json.loads(self.about.read_text("utf-8"))
            fields = {name: _tuples(value) for name, value in about["record"].items()}
            record = CompressionRecord(**fields)
            whole = _sha256(self.weights) == about["sha256"]
            state = load_file(self.weights) if whole else {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            raise self._damaged(error) from error
        if not whole:
            raise self._damaged(ValueError("its weights are not those that were written"))
        return record, state

    def save(self, model: PreTrainedModel, record: CompressionRecord) -> bool:
        """Store the model, after deleting the ones used longest ago; whether there was room."""
        from safetensors.torch import save_file

        state = {name: tensor.contiguous() for name, tensor in _unique(model).items()}
        size = sum(tensor.nbytes for tensor in state.values())
        if size > self.limit_bytes:
            return False
        self.folder.mkdir(parents=True, exist_ok=True)
        self._make_room(size)
        partial = self.weights.with_suffix(f".{os.getpid()}.partial")
        try:
            save_file(state, partial, metadata={"format": "pt"})
            about = {"sha256": _sha256(partial), "record": asdict(record)}
            partial.replace(self.weights)
            partial.write_text(json.dumps(about, sort_keys=True), "utf-8")
            partial.replace(self.about)
        finally:
            partial.unlink(missing_ok=True)
        return True

    def _make_room(self, size: int) -> None:
        """Delete the models used longest ago until `size` more bytes fit."""
        stored = sorted(self.folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
        kept = {about: about.with_suffix(".safetensors") for about in stored}
        sizes = {a: w.stat().st_size if w.is_file() else 0 for a, w in kept.items()}
        for about, weights in kept.items():
            if sum(sizes.values()) + size <= self.limit_bytes:
                return
            about.unlink(missing_ok=True)
            weights.unlink(missing_ok=True)
            del sizes[about]

    def _damaged(self, why: Exception) -> CacheError:
        """The error for a stored model that cannot be used."""
        return CacheError(
            f"the stored compressed model '{self.about}' is damaged ({why}). Expected the files as "
            "they were written. Delete that file and run again."
        )


def _unique(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Every tensor of the model's state once: tied ones under their first name."""
    seen: set[tuple[int, tuple[int, ...]]] = set()
    unique: dict[str, Any] = {}
    for name, tensor in model.state_dict().items():
        place = (tensor.data_ptr(), tuple(tensor.shape))
        if place not in seen or not tensor.numel():
            unique[name] = tensor
        seen.add(place)
    return unique


def _sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    import hashlib

    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _tuples(value: Any) -> Any:  # noqa: ANN401 - whatever the JSON holds
    """`value` with every list turned into a tuple."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value

"""Store compressed models on disk, so that a second run need not compress again.

A model is two files, named by the digest of its arm (weights, recipe, calibration, versions): the
tensors as safetensors, and a JSON file with the record, the digest of the tensors and a digest of
both. Both are written in a folder `*.partial` first, and the JSON file is moved last: a model is
complete when that file exists. Files of a killed process count until the next process deletes
them.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.codec import from_plain, to_plain
from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.errors import CacheError
from pytest_llmsafety.json_files import read_json
from pytest_llmsafety.models.digests import digest_json, file_digest
from pytest_llmsafety.paths import PARTIAL

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import torch
    from transformers import PreTrainedModel

GIGABYTE = 10**9
DAY_S = 86400
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True)
class Store:
    """A folder of compressed models that together have at most `limit_bytes`."""

    folder: Path
    limit_bytes: int


@dataclass(frozen=True)
class StoredModel:
    """The files of one compressed model; `limit_bytes` bounds the whole folder."""

    folder: Path
    digest: str
    limit_bytes: int

    @property
    def weights(self) -> Path:
        """Return the path of the tensors."""
        return self.folder / f"{self.digest}.safetensors"

    @property
    def about(self) -> Path:
        """Return the path of the record and the digests."""
        return self.folder / f"{self.digest}.json"

    def load(self, model: PreTrainedModel) -> CompressionRecord | None:
        """Load the stored weights into the dense `model`; return the record, None if not stored.

        Raises CacheError when a file is damaged or does not fit the model.
        """
        self._clean()
        if not self.about.is_file():
            return None
        try:
            record, state = self._read()
        except CacheError:
            if not self.about.is_file():  # another process made room meanwhile
                return None
            raise
        wanted = {name: tensor.shape for name, tensor in _unique(model).items()}
        if wanted != {name: tensor.shape for name, tensor in state.items()}:
            raise self._damaged(ValueError("its tensors are not those of this model"))
        model.load_state_dict(state, strict=False)
        os.utime(self.about)  # used last: deleted last
        return record

    def _read(self) -> tuple[CompressionRecord, dict[str, torch.Tensor]]:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            about = read_json(self.about)
            if about["sha256"] != self._seal(about["weights"], about["record"]):
                raise self._damaged(ValueError("its record is not the one that was written"))
            record: CompressionRecord = from_plain(CompressionRecord, about["record"])
            whole = file_digest(self.weights) == about["weights"]
            state = load_file(self.weights) if whole else {}
        except UNREADABLE as error:
            raise self._damaged(error) from error
        except SafetensorError as error:
            raise self._damaged(error) from error
        if not whole:
            raise self._damaged(ValueError("its weights are not those that were written"))
        return record, state

    def _seal(self, weights: str, record: dict[str, Any]) -> str:
        """Return a digest of the weights, the record and the arm."""
        return digest_json({"arm": self.digest, "weights": weights, "record": record})

    def save(self, model: PreTrainedModel, record: CompressionRecord) -> bool:
        """Store the model, after deleting those used longest ago; return whether there was room.

        Raises CacheError where the disk is full or cannot be written to; nothing is stored then.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        state = {name: tensor.contiguous() for name, tensor in _unique(model).items()}
        size = sum(tensor.nbytes for tensor in state.values())
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self._make_room(size):
                return False
            with _begun(self.folder / f"{self.digest}.{os.getpid()}{PARTIAL}") as partial:
                begun = partial / self.weights.name, partial / self.about.name
                save_file(state, begun[0], metadata={"format": "pt"})
                weights, plain = file_digest(begun[0]), to_plain(record)
                about = {"weights": weights, "record": plain, "sha256": self._seal(weights, plain)}
                begun[1].write_text(json.dumps(about, sort_keys=True), "utf-8")
                begun[0].replace(self.weights)
                begun[1].replace(self.about)
        except (OSError, SafetensorError) as error:
            message = (
                f"the compressed model could not be stored as '{self.weights}': {error}. Expected "
                "a folder that can be written to, with free space."
            )
            raise CacheError(message) from error
        return True

    def _make_room(self, size: int) -> bool:
        """Delete the models used longest ago; return whether `size` more bytes fit."""
        self._clean()
        stored = sorted(self.folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
        used = sum(map(size_of, self.folder.iterdir()))
        for about in stored:
            if used + size <= self.limit_bytes:
                break
            if about == self.about:
                continue
            weights = about.with_suffix(".safetensors")
            used -= size_of(about) + size_of(weights)
            about.unlink(missing_ok=True)
            weights.unlink(missing_ok=True)
        return used + size <= self.limit_bytes

    def _clean(self) -> None:
        """Delete what a killed process left behind."""
        begun = [*self.folder.glob(f"*{PARTIAL}"), *self.folder.glob(".tmp*")]
        owned = {path.name.partition(".")[0] for path in begun if _is_owned(path)}
        begun += [
            path
            for path in self.folder.glob("*.safetensors")
            if not path.with_suffix(".json").exists()
        ]
        for path in begun:
            if path.name.partition(".")[0] not in owned:
                with suppress(OSError):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _damaged(self, why: Exception) -> CacheError:
        return CacheError(
            f"the stored compressed model '{self.about}' is damaged ({why}). Expected the files as "
            "they were written. Delete that file and run again."
        )


def _unique(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Return every tensor of the model's state once: tied ones under their first name."""
    seen: set[tuple[int, tuple[int, ...]]] = set()
    unique: dict[str, Any] = {}
    for name, tensor in model.state_dict().items():
        place = (tensor.data_ptr(), tuple(tensor.shape))
        if place not in seen or not tensor.numel():
            unique[name] = tensor
        seen.add(place)
    return unique


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder; 0 if it does not exist."""
    total = 0
    with suppress(OSError):
        inside = path.rglob("*") if path.is_dir() and not path.is_symlink() else (path,)
        for one in inside:
            total += one.stat().st_size if one.is_file() else 0
    return total


@contextmanager
def _begun(folder: Path) -> Iterator[Path]:
    """Make a folder for the block, with a lock on it that ends with the process."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    handle = os.open(folder, os.O_RDONLY) if fcntl is not None else None
    try:
        if handle is not None:
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def _is_owned(path: Path) -> bool:
    """Return whether a process still writes this (without locks: is younger than a day)."""
    try:
        if fcntl is None:
            return time.time() - path.stat().st_mtime < DAY_S
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False

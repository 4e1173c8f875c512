"""Digests of values and files; a file is read again only after it changed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pytest_llmsafety.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CHUNK_BYTES = 1 << 20
ATTEMPTS = 3
MOUNTS = Path("/proc/self/mountinfo")
TICK_NS = 20_000_000
"""Two changes of one file within a tick of the kernel's clock can have the same time."""
LOCAL = frozenset({
    "apfs", "bcachefs", "btrfs", "erofs", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2",
    "overlay", "ramfs", "reiserfs", "rootfs", "squashfs", "tmpfs", "ufs", "xfs", "zfs",
})  # fmt: skip
"""File systems that set a file's change time themselves, so that no program can keep it."""


class Memo(Protocol):
    """A store of digests of unchanged files, such as the cache."""

    def get_many(self, keys: Iterable[str]) -> dict[str, str]:
        """Return what is stored of `keys`."""

    def put_many(self, values: Mapping[str, str]) -> None:
        """Store `values`."""


@dataclass(frozen=True)
class FileState:
    """The facts of which at least one changes with the bytes of a file.

    `tar -x`, `cp -p` and `rsync --times` set the time of modification back; only the kernel sets
    the time of change.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> FileState:
        """Return the state of the file at `path` now."""
        stat = path.stat()
        return cls(stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)

    def is_past_tick(self) -> bool:
        """Return whether a later change will have another time, because this one's tick is over."""
        coarse = self.ctime_ns % 1_000_000 == 0
        tick = 2_000_000_000 if coarse else TICK_NS
        return self.ctime_ns + tick < time.time_ns()


class FileDigests:
    """The SHA-256 of files by path, remembered from run to run in `memo`.

    A file is read again when its state changed. Where the file system is not known to keep times
    of change (network disks, FAT, Windows) it is read in every run.
    """

    def __init__(self, memo: Memo | None = None) -> None:
        """Remember digests in `memo`, or in this object only."""
        self._memo = memo
        self._seen: dict[Path, tuple[FileState, str]] = {}

    def of(self, path: Path) -> str:
        """Return the SHA-256 of one file, in hex.

        Raises ModelError when the file changes each time that it is read, and OSError.
        """
        real = path.resolve()
        state = FileState.of(real)
        if self._seen.get(real, (None,))[0] != state:
            self._seen[real] = state, self._remembered(real, state)
        return self._seen[real][1]

    def changed(self) -> list[Path]:
        """Return the digested files that have other bytes now, or are gone."""
        return [path for path in list(self._seen) if self._has_changed(path)]

    def _has_changed(self, path: Path) -> bool:
        state, digest = self._seen[path]
        try:
            if FileState.of(path) == state:
                return False
            state, now = _read(path)
        except OSError:
            return True
        if now == digest:
            self._seen[path] = state, digest
        return now != digest

    def _remembered(self, path: Path, state: FileState) -> str:
        if self._memo is None or not keeps_change_times(path):
            return _read(path)[1]
        key = _key(path, state)
        known = self._memo.get_many([key]).get(key)
        if known is None:
            _wait_for_tick(state)
            state, known = _read(path)
            if state.is_past_tick():
                self._memo.put_many({_key(path, state): known})
        return known


def file_digest(path: Path) -> str:
    """Return the SHA-256 of one file, in hex, read now."""
    return _read(path)[1]


def digest_json(value: object) -> str:
    """Return the SHA-256 of `value` as canonical JSON (sorted keys, ASCII), in hex."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def keeps_change_times(path: Path) -> bool:
    """Return whether the file system of `path` is known to set the times of change itself."""
    if os.name == "nt":
        return False
    mounts = _mounts()
    if not mounts:  # no Linux: a mounted disk is below one of these
        return sys.platform == "darwin" and not path.is_relative_to("/Volumes")
    return next((kind in LOCAL for place, kind in mounts if path.is_relative_to(place)), False)


def _key(path: Path, state: FileState) -> str:
    text = json.dumps([str(path), *astuple(state)])
    return "file:" + hashlib.sha256(text.encode()).hexdigest()


def _wait_for_tick(state: FileState) -> None:
    """Wait at most a tick, so that a file that was just written can be remembered."""
    left = state.ctime_ns + TICK_NS - time.time_ns()
    if 0 <= left <= TICK_NS:
        time.sleep(left / 1e9 + 0.001)


def _read(path: Path) -> tuple[FileState, str]:
    for _ in range(ATTEMPTS):
        before = FileState.of(path)
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
        if FileState.of(path) == before:
            return before, digest.hexdigest()
    message = (
        f"'{path}' changed each of the {ATTEMPTS} times that it was read. Expected a file to which "
        "no program writes. Wait until it is complete and run again."
    )
    raise ModelError(message)


@cache
def _mounts() -> list[tuple[str, str]]:
    """Return (folder, type) of every mounted file system, the deepest folder first."""
    try:
        lines = MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        left, _, right = line.partition(" - ")
        place = re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), left.split(" ")[4])
        found.append((place, right.split(" ")[0]))
    found.reverse()  # of two at one place the later one covers the other
    return sorted(found, key=lambda mount: -len(mount[0]))

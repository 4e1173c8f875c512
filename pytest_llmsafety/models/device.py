"""Which device and dtype run a model here, and how much memory is free on the device."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmsafety.errors import ConfigurationError

if TYPE_CHECKING:
    from pytest_llmsafety.specs import ModelSpec

CONTROL_GROUPS = Path("/sys/fs/cgroup")
OF_PROCESS = Path("/proc/self/cgroup")
MEMORY = Path("/proc/meminfo")
UNLIMITED = 1 << 60  # version 1 writes a number near 2 ** 63 where nothing is limited


@dataclass(frozen=True)
class Container:
    """The memory limit of a control group, and how much of it is free, in bytes."""

    limit: int
    free: int


@dataclass(frozen=True)
class _Version:
    """The names of the same files and fields in one version of control groups."""

    limit: str
    used: str
    cache: tuple[str, ...]


V1 = _Version(
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    ("total_inactive_file", "total_active_file"),
)
V2 = _Version("memory.max", "memory.current", ("inactive_file", "active_file"))


def resolve(spec: ModelSpec) -> tuple[str, str]:
    """Return (dtype, device) with `auto` replaced by what this machine has.

    `auto` is a GPU where torch sees one, and `auto:K` is GPU number K modulo their number. The
    dtype is then bfloat16 on a GPU and float32 on a CPU. Raises ConfigurationError when the user
    asks for a GPU and torch sees none.
    """
    device = spec.device
    kind, _, number = device.partition(":")
    if kind in {"auto", "cuda"}:
        import torch

        seen = torch.cuda.is_available()
        if kind == "auto" and seen:
            device = f"cuda:{int(number) % torch.cuda.device_count()}" if number else "cuda"
        elif kind == "auto":
            device = "cpu"
        elif not seen:
            raise _absent(device)
    elif kind == "mps":
        import torch

        if not torch.backends.mps.is_available():
            raise _absent(device)
    dtype = spec.dtype
    if dtype == "auto":
        dtype = "float32" if device == "cpu" else "bfloat16"
    return dtype, device


def _absent(device: str) -> ConfigurationError:
    return ConfigurationError(
        f"device '{device}' was asked for, but torch sees no such GPU. Use cpu or auto."
    )


def free_bytes(device: str) -> int:
    """Return the free memory of `device` in bytes, on a CPU within the limit of the container."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    found = container()
    free = _meminfo().get("MemAvailable")
    if free is None:
        with suppress(AttributeError, ValueError, OSError):
            free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(free or 0, found.free) if found else free or 0


def total_bytes() -> int:
    """Return the memory of the machine in bytes, or the container's limit if less; 0 if unknown."""
    found, total = container(), 0
    with suppress(AttributeError, ValueError, OSError):
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(total, found.limit) if found else total


def swap_bytes() -> int:
    """Return the free swap space of the machine, in bytes."""
    return _meminfo().get("SwapFree", 0)


def container() -> Container | None:
    """Return the control group of this process with the least free memory; None without a limit.

    Pages of files that were only read count as free, because the kernel drops them when needed.
    """
    found = [one for folder, version in _groups() if (one := _read(folder, version))]
    return min(found, key=lambda one: one.free, default=None)


def _groups() -> list[tuple[Path, _Version]]:
    """Return the folders of this process's control groups and of all groups around them.

    Inside a container /proc may hold the names of the host, where the own group is the root.
    """
    folders: list[tuple[Path, _Version]] = []
    for line in _text(OF_PROCESS).splitlines():
        number, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if number == "0" and not controllers:
            root, version = CONTROL_GROUPS, V2
        elif "memory" in controllers.split(","):
            root, version = CONTROL_GROUPS / "memory", V1
        else:
            continue
        group = root / name.lstrip("/")
        inside = [group, *group.parents] if ".." not in group.parts else []
        folders += [(f, version) for f in inside if f == root or root in f.parents]
    return folders


def _read(folder: Path, version: _Version) -> Container | None:
    try:
        limit = int(_text(folder / version.limit))
        used = int(_text(folder / version.used))
    except ValueError:  # no such file, or `max`
        return None
    if limit >= UNLIMITED:
        return None
    words = (line.split() for line in _text(folder / "memory.stat").splitlines())
    held = {pair[0]: int(pair[1]) for pair in words if len(pair) == len(("name", "bytes"))}
    cached = sum(held.get(name, 0) for name in version.cache)
    return Container(limit, max(0, limit - max(0, used - cached)))


def _meminfo() -> dict[str, int]:
    lines = (line.split() for line in _text(MEMORY).splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) > 1}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""

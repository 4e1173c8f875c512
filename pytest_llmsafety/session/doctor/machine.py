"""The machine: processors, memory, GPUs, packages, and whether a model fits twice."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmsafety.errors import LlmSafetyError
from pytest_llmsafety.inference.backends.memory import BYTES, COMPRESSING, HEADROOM
from pytest_llmsafety.libraries import version
from pytest_llmsafety.models.device import container, free_bytes, total_bytes
from pytest_llmsafety.models.locate import locate
from pytest_llmsafety.models.model_folder import count_parameters
from pytest_llmsafety.session.results import PACKAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_llmsafety.specs import ModelSpec

GB = 1e9
SELF = "pytest-llmsafety"
DRIVERS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg")


@dataclass(frozen=True)
class GPU:
    """One GPU as torch sees it, in bytes."""

    device: str
    name: str
    free: int
    total: int


def gpus() -> tuple[GPU, ...]:
    """Return the GPUs of this machine; torch is imported only where there is a driver for one."""
    if not (any(Path(path).exists() for path in DRIVERS) or shutil.which("nvidia-smi")):
        return ()
    import torch

    found = []
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, total = torch.cuda.mem_get_info(number)
        name = torch.cuda.get_device_name(number)
        found.append(GPU(f"cuda:{number}", name, int(free), int(total)))
    return tuple(found)


def hardware(seen: tuple[GPU, ...]) -> Iterator[str]:
    """Yield processors and memory, then each GPU."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    total = total_bytes()
    among = f" of {total / GB:.1f}" if total else ""
    memory = f"{free_bytes('cpu') / GB:.1f}{among} GB of memory free"
    limit = container()
    if limit is not None and limit.limit == total:
        memory += " in this container"
    cpu = f"{platform.system()} {platform.machine()}, {cores} CPU cores, {memory}"
    yield cpu if seen else f"{cpu}, no CUDA GPU"
    for gpu in seen:
        yield f"{gpu.device}: {gpu.name}, {gpu.free / GB:.1f} of {gpu.total / GB:.1f} GB free"
    if (platform.system(), platform.machine()) == ("Darwin", "arm64"):
        yield "mps: the GPU of this Mac, in the same memory; used with --device=mps"


def packages() -> Iterator[str]:
    """Yield Python and the packages that affect a verdict."""
    found = [f"{name} {version(name) or 'absent'}" for name in PACKAGES]
    yield ", ".join([f"python {platform.python_version()}", *found])


def extras() -> Iterator[str]:
    """Yield the package's extras: those that are complete, then the others."""
    try:
        known = metadata.metadata(SELF).get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        yield f"{SELF} is not installed, so its extras are not known"
        return
    states = {name: _is_complete(name) for name in sorted(known) if name != "dev"}
    here, missing = ([n for n, state in states.items() if state is want] for want in (True, False))
    yield f"installed: {', '.join(here) or 'none'}"
    if missing:
        yield f"missing: {', '.join(missing)}; such as pip install '{SELF}[{missing[0]}]'"


def _is_complete(extra: str) -> bool:
    """Return whether every package of an extra is installed in a version that it allows."""
    from packaging.requirements import Requirement

    wanted = [Requirement(text) for text in metadata.requires(SELF) or ()]
    return all(
        version(each.name) and each.specifier.contains(version(each.name), prereleases=True)
        for each in wanted
        if each.marker and each.marker.evaluate({"extra": extra})
        if not each.marker.evaluate({"extra": ""})
    )


def room(spec: ModelSpec, seen: tuple[GPU, ...]) -> Iterator[str]:
    """Yield whether the dense and a compressed model fit at once, by the headers of the weights."""
    on_gpu = spec.device.startswith("cuda") or (spec.device == "auto" and bool(seen))
    default = "cuda:0" if seen else "cpu"
    device = {"auto": default, "cuda": "cuda:0"}.get(spec.device, spec.device)
    dtype = spec.dtype if spec.dtype != "auto" else "float32" if device == "cpu" else "bfloat16"
    free = {gpu.device: gpu.free for gpu in seen}.get(device)
    if free is None and on_gpu:
        yield f"{spec}: torch sees no {device} on this machine"
        return
    try:
        n_values = count_parameters(locate(spec, fetch=False))
    except LlmSafetyError as error:
        yield f"{spec}: {error}"
        return
    size = n_values * BYTES[dtype]
    yield f"{spec}: {n_values:,} values, {size / GB:.2f} GB as {dtype} on {device}"
    yield _verdict(size, free if free is not None else free_bytes("cpu"))


def _verdict(size: int, free: int) -> str:
    """Return what fits into `free` bytes, by the rule that the engine loads models by."""
    both = size * (1 + HEADROOM + COMPRESSING)
    one = size * (HEADROOM + COMPRESSING)
    available = f"{free / GB:.1f} GB are free"
    if both <= free:
        return f"fits twice: dense and compressed at once need {both / GB:.1f} GB, {available}"
    if one <= free:
        return (
            f"fits once: both need {both / GB:.1f} GB, {available}, so one is loaded after "
            "the other, which is slower"
        )
    return f"does not fit: to compress it needs {one / GB:.1f} GB, {available}"

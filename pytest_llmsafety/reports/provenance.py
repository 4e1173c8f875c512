"""The machine of a run and the digests of its model files, found without loading anything."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmsafety.errors import LlmSafetyError
from pytest_llmsafety.models.device import total_bytes
from pytest_llmsafety.models.identity import model_digest
from pytest_llmsafety.models.locate import locate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.models.digests import FileDigests
    from pytest_llmsafety.specs import CompressionSpec, ModelSpec

CPUINFO = Path("/proc/cpuinfo")
GIBIBYTE = 2**30


def machine() -> tuple[tuple[str, str], ...]:
    """Return rows of (what, text): system, processor, cores, memory, and the GPUs of torch."""
    rows = [
        ("system", platform.platform()),
        ("processor", _processor()),
        ("cores", str(os.cpu_count() or "unknown")),
        ("memory", _memory()),
    ]
    return tuple(row for row in (*rows, *_gpus()) if row[1])


def models(
    model: ModelSpec | None, compressions: Sequence[CompressionSpec], files: FileDigests
) -> tuple[tuple[str, str], ...]:
    """Return (name, digest of its files) of the model and of each model that compressions name.

    `files` holds the digests of files that the run read. Models that are not there are left out.
    """
    named = [step.model for spec in compressions for step in spec.steps]
    found = {}
    for spec in filter(None, [model, *named]):
        with suppress(LlmSafetyError, OSError):
            found[str(spec)] = model_digest(locate(spec, tokenizer=False), files)
    return tuple(found.items())


def _processor() -> str:
    with suppress(OSError):
        for line in CPUINFO.read_text("utf-8", "replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return f"{value.strip()} ({platform.machine()})"
    return platform.processor() or platform.machine()


def _memory() -> str:
    total = total_bytes()
    return f"{total / GIBIBYTE:.1f} GiB" if total else ""


def _gpus() -> list[tuple[str, str]]:
    """Return the GPUs where this process has loaded torch; torch is not loaded for this."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    count = torch.cuda.device_count()
    return [(f"GPU {number}", torch.cuda.get_device_name(number)) for number in range(count)]

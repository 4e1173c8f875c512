"""Measure the time and the memory of a compression."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedModel


@dataclass
class Cost:
    """Seconds and the most memory in use, both known when the work is over."""

    seconds: float = 0.0
    peak_bytes: int = 0


@contextmanager
def measured(model: PreTrainedModel) -> Iterator[Cost]:
    """Measure time and memory of the body of the `with`; memory is that of torch on a GPU."""
    import torch

    on_gpu = model.device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(model.device)
    cost, started = Cost(), time.perf_counter()
    yield cost
    if on_gpu:
        torch.cuda.synchronize(model.device)
        cost.peak_bytes = torch.cuda.max_memory_allocated(model.device)
    else:
        cost.peak_bytes = process_peak_bytes()
    cost.seconds = time.perf_counter() - started


def process_peak_bytes() -> int:
    """Return the most memory that this process ever held; 0 where the system does not say."""
    import sys

    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

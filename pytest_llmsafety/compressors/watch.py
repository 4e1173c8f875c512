"""Measure a compression, and make a model unusable that is compressed in part."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import (
    AllocationError,
    CalibrationError,
    CompressionError,
    GroupSizeError,
    LlmSafetyError,
    ModelError,
    UnsupportedModelError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedModel

    from pytest_llmsafety.specs import CompressionSpec

BEFORE_ANY_CHANGE = (
    AllocationError,
    CalibrationError,
    GroupSizeError,
    ModelError,  # of another model: BASE, a checkpoint
    UnsupportedModelError,
)


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


@contextmanager
def whole_or_unusable(model: PreTrainedModel, spec: CompressionSpec) -> Iterator[list[object]]:
    """Make the model's forward raise if the body of the `with` stops in the middle.

    Append one entry to the list that the `with` yields for each step that is done. Raises the
    package's own errors as they are and CompressionError for all others.
    """
    done: list[object] = []
    try:
        yield done
    except BaseException as error:  # an interrupt in a notebook leaves a model behind, too
        if isinstance(error, BEFORE_ANY_CHANGE) and not done:
            raise
        reason = (
            f"'{spec}' stopped in the middle of its work ({type(error).__name__}: {error}), so "
            f"part of this {type(model).__name__} may be compressed and part not. Load it again."
        )
        _forbid(model, reason)
        if isinstance(error, LlmSafetyError) or not isinstance(error, Exception):
            raise
        raise CompressionError(reason) from error


def _forbid(model: Any, reason: str) -> None:  # noqa: ANN401 - its forward is replaced

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise ModelError(reason)

    model.forward = refuse

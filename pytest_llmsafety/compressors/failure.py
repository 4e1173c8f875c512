"""Make a model unusable that an error left compressed in part."""

from __future__ import annotations

from contextlib import contextmanager
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

"""Round while the model runs: the inputs of layers, and the cache of keys and values.

Every such part is hooked to the model itself, so it acts whoever calls the model. It is listed in
`model.llmsafety_rounding`, so that it can be paused. A saved checkpoint does not have it.
"""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from pytest_llmsafety.compressors.layerwise.walk import evaluating
from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.compressors.record.file_sizes import dense_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.specs import Step

LISTED = "llmsafety_rounding"
CACHE_NAMES = ("cache", "past_key_values")
"""The name of the cache in `forward` and its output: since transformers 5.24, and before."""


class Rounding(Protocol):
    """Something that is hooked to a model and rounds as long as it is `on`."""

    on: bool


def roundings(model: PreTrainedModel) -> list[Rounding]:
    """Return the list of all that rounds while `model` runs; append to it what you add."""
    if not hasattr(model, LISTED):
        setattr(model, LISTED, [])
    return getattr(model, LISTED)  # type: ignore[no-any-return]


def rounds(model: PreTrainedModel) -> bool:
    """Return whether something is rounded while `model` runs."""
    return bool(getattr(model, LISTED, []))


@contextmanager
def exact(model: PreTrainedModel) -> Iterator[None]:
    """Round nothing in the body of the `with`."""
    paused = [one for one in getattr(model, LISTED, []) if one.on]
    try:
        for one in paused:
            one.on = False
        yield
    finally:
        for one in paused:
            one.on = True


def cache_name(model: PreTrainedModel) -> str | None:
    """Return the name of the argument that is the cache of `model`; None where it keeps none.

    The older name still works until transformers 5.40, with a warning that `-W error` turns into
    an error.
    """
    parameters = inspect.signature(model.forward).parameters
    return next((name for name in CACHE_NAMES if name in parameters), None)


def trial(model: PreTrainedModel, length: int = 8, *, cached: bool = False) -> torch.Tensor:
    """Return the logits [length, vocabulary] of one arbitrary text of `length` tokens.

    Without `cached` the model keeps no cache: some of transformers' classes run only so.
    """
    import torch

    vocabulary = int(model.config.get_text_config().vocab_size)
    ids = (torch.arange(length) * 7 + 3) % vocabulary
    run: Any = model
    with torch.no_grad(), evaluating(model):
        found = run(input_ids=ids[None].to(model.device), use_cache=cached)
        return found.logits[0]  # type: ignore[no-any-return]


def widened(states: torch.Tensor) -> torch.Tensor:
    """Return `states` in at least float32, the dtype to round in."""
    import torch

    return states.to(torch.promote_types(states.dtype, torch.float32))


def record_of_rounding(
    model: PreTrainedModel,
    step: Step,
    note: str,
    *,
    changed: tuple[str, ...],
    skipped: tuple[tuple[str, str], ...] = (),
) -> CompressionRecord:
    """Return the record of a step that leaves all weights as they are.

    `changed` names the layers or caches that are rounded, `skipped` holds (layer, reason).
    """
    size = dense_bytes(model)
    return CompressionRecord(
        method=str(step),
        parameters=(),
        layers_changed=changed,
        layers_skipped=skipped,
        bits=8.0 * next(model.parameters()).element_size(),
        sparsity=0.0,
        bytes_before=size,
        bytes_after=size,
        notes=(note,),
    )

"""What rounds while the model runs: inputs of layers, and the cache of keys and values.

Every such part hangs on the model itself, so it acts whoever calls the model, and is listed in
`model.llmsafety_rounding`, so that it can be paused. It is no part of a saved checkpoint.
"""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from transformers import PreTrainedModel

LISTED = "llmsafety_rounding"
CACHE_NAMES = ("cache", "past_key_values")
"""What `forward` calls its cache, and the field of its output: from transformers 5.24, before."""


class Rounding(Protocol):
    """Rounds something while the model runs, as long as it is `on`."""

    on: bool


def roundings(model: PreTrainedModel) -> list[Rounding]:
    """Everything that rounds while `model` runs; append to it what is added."""
    if not hasattr(model, LISTED):
        setattr(model, LISTED, [])
    return getattr(model, LISTED)  # type: ignore[no-any-return]


def rounds(model: PreTrainedModel) -> bool:
    """Whether anything is rounded while `model` runs."""
    return bool(getattr(model, LISTED, []))


@contextmanager
def exact(model: PreTrainedModel) -> Iterator[None]:
    """Let nothing be rounded in the body of the `with`, all else being as it is."""
    paused = [one for one in getattr(model, LISTED, []) if one.on]
    try:
        for one in paused:
            one.on = False
        yield
    finally:
        for one in paused:
            one.on = True


def cache_name(model: PreTrainedModel) -> str | None:
    """The name under which `model` takes and returns its keys and values; None where it keeps none.

    The older name still works until transformers 5.40, with a warning that `-W error` turns into
    an error.
    """
    taken = inspect.signature(model.forward).parameters
    return next((name for name in CACHE_NAMES if name in taken), None)


def trial(model: PreTrainedModel, length: int = 8, *, cached: bool = False) -> torch.Tensor:
    """Return the logits [length, vocabulary] of one arbitrary text of `length` tokens.

    Without `cached` the model keeps no cache: some of transformers' classes run only so.
    """
    import torch

    vocabulary = int(model.config.get_text_config().vocab_size)
    ids = (torch.arange(length) * 7 + 3) % vocabulary
    run: Any = model
    training = model.training
    model.train(mode=False)
    try:
        with torch.no_grad():
            found = run(input_ids=ids[None].to(model.device), use_cache=cached)
            return found.logits[0]  # type: ignore[no-any-return]
    finally:
        model.train(training)


def widened(states: torch.Tensor) -> torch.Tensor:
    """`states` in at least float32: what rounding is computed in."""
    import torch

    return states.to(torch.promote_types(states.dtype, torch.float32))

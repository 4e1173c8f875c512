"""What the model's own forward call hands to each decoder block, found without running them."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.layers import Block


class _EverythingSeen(Exception):  # noqa: N818 - a way out of the forward call, no error
    """The last block was reached; what comes after it is of no interest."""


@dataclass(frozen=True)
class Call:
    """The arguments of one block beside the hidden states."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def run(self, block: torch.nn.Module, hidden: torch.Tensor) -> torch.Tensor:
        """The block's hidden states for `hidden` [sequences, tokens, width]."""
        output: Any = block(hidden, *self.args, **self.kwargs)
        states: torch.Tensor = output[0] if isinstance(output, (tuple, list)) else output
        return states

    def to(self, device: torch.device) -> Call:
        """The same call with its tensors on `device`."""
        return Call(_moved(self.args, device), _moved(self.kwargs, device))


@dataclass(frozen=True)
class Captured:
    """Hidden states before the first block, one tensor a batch, and the call of each block.

    `calls[block]` serves every batch: batches have one shape, and nothing in a call depends on
    the tokens.
    """

    hidden: list[torch.Tensor]
    calls: tuple[Call, ...]


def capture(
    model: PreTrainedModel, blocks: Sequence[Block], batches: Sequence[torch.Tensor]
) -> Captured:
    """Run the model's forward on every batch with blocks that compute nothing.

    Masks, position embeddings and whatever else a block gets are those of the model's own
    call, block by block (sliding and full attention differ); the cache is off. Hidden states
    are kept on the CPU. Raises UnsupportedModelError when an argument depends on the tokens.
    """
    hidden: list[torch.Tensor] = []
    first: tuple[Call, ...] = ()
    with _idle(blocks) as (seen, inputs):
        for batch in batches:
            seen.clear()
            with suppress(_EverythingSeen):
                model(input_ids=batch.to(model.device), use_cache=False)
            calls = tuple(seen[block.index] for block in blocks)
            first = first or calls
            for block, call, other in zip(blocks, calls, first, strict=True):
                if not _same((call.args, call.kwargs), (other.args, other.kwargs)):
                    message = (
                        f"{block.name} of {type(model).__name__} takes arguments that depend on "
                        "the text. Expected blocks that see it in their hidden states only."
                    )
                    raise UnsupportedModelError(message)
            hidden.append(inputs.pop().to("cpu"))
    return Captured(hidden, first)


@contextmanager
def _idle(
    blocks: Sequence[Block],
) -> Iterator[tuple[dict[int, Call], list[torch.Tensor]]]:
    """Replace the blocks' forward: note the call, and hand the hidden states on unchanged."""
    seen: dict[int, Call] = {}
    inputs: list[torch.Tensor] = []
    shape: list[Any] = []  # the first block's real output shows whether blocks return tuples

    def idle(block: Block, real: Callable[..., Any]) -> Callable[..., Any]:
        def forward(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - any block's arguments
            kwargs = dict(kwargs)
            states = args[0] if args else kwargs.pop("hidden_states")
            seen[block.index] = Call(args[1:], kwargs)
            if block.index == 0:
                inputs.append(states)
                if not shape:
                    shape.append(real(*args, **kwargs) if args else real(states, **kwargs))
            if block.index == len(blocks) - 1:
                raise _EverythingSeen
            return (states, *shape[0][1:]) if isinstance(shape[0], tuple) else states

        return forward

    with replaced_forward(blocks, idle):
        yield seen, inputs


@contextmanager
def replaced_forward(
    blocks: Sequence[Block], make: Callable[[Block, Callable[..., Any]], Callable[..., Any]]
) -> Iterator[None]:
    """Give each block the forward that `make` returns for it and its real one, for a while."""
    replaced = [vars(block.module).get("forward") for block in blocks]
    for block in blocks:
        block.module.forward = make(block, block.module.forward)
    try:
        yield
    finally:
        for block, own in zip(blocks, replaced, strict=True):
            del block.module.forward  # the class's own is found again
            if own is not None:
                block.module.forward = own


def _moved(value: Any, device: torch.device) -> Any:  # noqa: ANN401 - nested arguments
    """`value` with every tensor in it on `device`."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {name: _moved(part, device) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(_moved(part, device) for part in value)
    return value


def _same(one: Any, other: Any) -> bool:  # noqa: ANN401 - nested arguments
    """Whether two nested arguments hold the same values."""
    import torch

    if one is other:
        return True
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.shape == other.shape and torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[k], other[k]) for k in one)
    if isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and not isinstance(one, torch.Tensor) and _equal(one, other)


def _equal(one: Any, other: Any) -> bool:  # noqa: ANN401 - any object
    """Whether two plain values are equal; objects without values count as equal."""
    plain = (bool, int, float, str)
    return one == other if isinstance(one, plain) else True

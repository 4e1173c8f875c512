"""The sequential layer runner: block after block, each fed by the compressed ones before it.

Inside a block everything is looked at before anything is changed; then the block runs again
with its new weights and feeds the next one. One block at a time is on the computing device,
and the hidden states rest on the CPU.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pytest_llmsafety.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.layerwise.layers import Block, Layer


class Statistics(Protocol):
    """What is kept of a layer's inputs while the calibration sequences pass through it."""

    def add(self, inputs: torch.Tensor, sequences: int) -> None:
        """Take the inputs [tokens, in] of one batch of `sequences` sequences."""


S = TypeVar("S", bound=Statistics)


@dataclass(frozen=True)
class Visit:
    """One block in its turn: on the device, with its inputs, not changed yet.

    `hidden` are the block's inputs, one tensor [sequences, tokens, width] a batch, on the CPU.
    What is changed in `block` while the visit lasts counts for all later blocks.
    """

    block: Block
    call: Call
    hidden: list[torch.Tensor]
    device: torch.device

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The block's layers."""
        return self.block.layers

    def outputs(self) -> Iterator[torch.Tensor]:
        """Run the block as it is now on each batch: its hidden states, on the device."""
        for batch in self.hidden:
            yield self._run(batch)

    def statistics(self, make: Callable[[Layer], S]) -> Mapping[str, S]:
        """Run the block on every batch; what `make` gave for each layer, by layer name.

        Layers that get the very same tensor (queries, keys and values) share one object, made
        for the first of them: read it, do not change it.
        """
        with _watched(self.layers, make) as watch:
            for batch in self.hidden:
                watch.begin(batch.shape[0])
                with suppress(_AllSeen):
                    self._run(batch)
        return watch.found

    def inputs(self) -> Mapping[str, list[torch.Tensor]]:
        """The inputs of each layer, one tensor [tokens, in] a batch, on the CPU."""
        return {name: kept.kept for name, kept in self.statistics(lambda _: _Kept()).items()}

    def _run(self, batch: torch.Tensor) -> torch.Tensor:
        """The block's output for one batch, without gradients."""
        import torch

        with torch.no_grad():
            return self.call.run(self.block.module, batch.to(self.device))


def walk(
    model: PreTrainedModel,
    blocks: Sequence[Block],
    ids: torch.Tensor,
    *,
    device: str | torch.device | None = None,
    batch_size: int = 1,
    progress: Callable[[str, int, int], None] | None = None,
) -> Generator[Visit, None, None]:
    """Visit the blocks in order, in evaluation mode.

    `ids` [sequences, tokens] are the calibration sequences, `batch_size` of them at a time
    (it has to divide their number). When the caller takes the next visit, the block of the last one
    runs again and feeds it. `device` is where blocks compute, None where each one is. Wrap the
    call in `contextlib.closing`, so that an error puts everything back at once.
    """
    import torch

    training = model.training
    model.train(mode=False)
    try:
        with torch.no_grad():
            captured = capture(model, blocks, _batches(ids, batch_size))
        hidden = captured.hidden
        for block, call in zip(blocks, captured.calls, strict=True):
            home = next(block.module.parameters()).device
            place = torch.device(device) if device else home
            block.module.to(place)
            visit = Visit(block, call.to(place), hidden, place)
            if progress:
                progress(block.name, block.index, len(blocks))
            try:
                yield visit
                if block is not blocks[-1]:
                    for index, output in enumerate(visit.outputs()):
                        hidden[index] = output.to("cpu")
            finally:
                block.module.to(home)
        if progress:
            progress("done", len(blocks), len(blocks))
    finally:
        model.train(training)


class _Kept:
    """Keeps the inputs themselves."""

    def __init__(self) -> None:
        self.kept: list[torch.Tensor] = []

    def add(self, inputs: torch.Tensor, sequences: int) -> None:  # noqa: ARG002 - all are kept
        self.kept.append(inputs.to("cpu"))


class _AllSeen(Exception):  # noqa: N818 - a way out of a block, no error
    """The block's last layer was reached; what it makes of its inputs is of no interest."""


class _Watch:
    """Which statistics belong to which layer, and which input tensor of this batch.

    The first batch runs to the end and shows how often layers are called; the others are left
    at the last call.
    """

    def __init__(self) -> None:
        self.sequences = 1
        self.calls, self.expected = 0, 0
        self.found: dict[str, Any] = {}
        self.current: dict[int, tuple[torch.Tensor, Any]] = {}  # by identity of the input
        self.leaders: set[str] = set()

    def begin(self, sequences: int) -> None:
        """Start a batch."""
        self.sequences = sequences
        self.calls, self.expected = 0, self.calls
        self.current.clear()

    def take(self, layer: Layer, inputs: torch.Tensor, make: Callable[[Layer], Any]) -> None:
        """Note the inputs of one layer in this batch."""
        if layer.name not in self.found:
            shared = self.current.get(id(inputs))
            if shared is None:
                self.leaders.add(layer.name)
            self.found[layer.name] = shared[1] if shared else make(layer)
        statistics = self.found[layer.name]
        self.current[id(inputs)] = (inputs, statistics)
        if layer.name in self.leaders:
            statistics.add(inputs.reshape(-1, inputs.shape[-1]), self.sequences)
        self.calls += 1
        if self.calls == self.expected:
            raise _AllSeen


@contextmanager
def _watched(layers: Sequence[Layer], make: Callable[[Layer], Any]) -> Iterator[_Watch]:
    """Hook every layer, so that its inputs reach its statistics."""
    watch = _Watch()

    def hook(layer: Layer) -> Callable[..., None]:
        def before(_module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
            watch.take(layer, args[0], make)

        return before

    handles = [layer.module.register_forward_pre_hook(hook(layer)) for layer in layers]
    try:
        yield watch
    finally:
        for handle in handles:
            handle.remove()


def _batches(ids: torch.Tensor, size: int) -> list[torch.Tensor]:
    """Rows of `ids` in batches of one size. Raises ValueError when it does not divide them."""
    import torch

    if len(ids) % size:
        message = f"batch_size {size} does not divide {len(ids)} sequences; all need one shape"
        raise ValueError(message)
    return list(torch.split(ids, size))


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

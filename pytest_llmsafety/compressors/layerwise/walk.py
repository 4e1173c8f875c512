"""Walk through the decoder blocks in order, each fed by the compressed ones before it.

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
    """Collects what a method needs of a layer's inputs, as the calibration sequences pass.

    A collector of the largest inputs:

        class Largest:
            def __init__(self, layer):
                self.found = layer.weight.new_zeros(layer.inputs)

            def add(self, inputs, sequences):
                self.found = self.found.maximum(inputs.abs().amax(dim=0))
    """

    def add(self, inputs: torch.Tensor, sequences: int) -> None:
        """Take in the inputs [tokens, in] of one batch of `sequences` sequences."""


S = TypeVar("S", bound=Statistics)


@dataclass(frozen=True)
class Call:
    """The arguments with which the model calls one block, without the hidden states."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def run(self, block: torch.nn.Module, hidden: torch.Tensor) -> torch.Tensor:
        """Return the block's hidden states for `hidden` [sequences, tokens, width]."""
        return hidden_states(block(hidden, *self.args, **self.kwargs))

    def to(self, device: torch.device) -> Call:
        """Return the same call with its tensors on `device`."""
        return Call(_moved(self.args, device), _moved(self.kwargs, device))


@dataclass(frozen=True)
class Visit:
    """One block in its turn: on the device, with its inputs, not changed yet.

    `hidden` are the block's inputs, one tensor [sequences, tokens, width] a batch, on the CPU.
    Changes of `block` made during the visit count for all later blocks.
    """

    block: Block
    call: Call
    hidden: list[torch.Tensor]
    device: torch.device

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Return the block's layers."""
        return self.block.layers

    def outputs(self) -> Iterator[torch.Tensor]:
        """Run the block as it is now, and yield its hidden states for each batch, on the device."""
        for batch in self.hidden:
            yield self._run(batch)

    def statistics(self, make: Callable[[Layer], S]) -> Mapping[str, S]:
        """Run the block on every batch, and return by layer name what `make` gave for each layer.

        Layers that get the very same tensor (queries, keys and values) share one object, made
        for the first of them: read it, do not change it. A layer that no token reaches is absent.
        """
        with _watched(self.layers, make) as watch:
            for batch in self.hidden:
                watch.begin(batch.shape[0])
                with suppress(_AllSeen):
                    self._run(batch)
        return watch.found

    def _run(self, batch: torch.Tensor) -> torch.Tensor:
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

    if len(ids) % batch_size:
        message = f"batch_size {batch_size} does not divide {len(ids)} sequences of one shape"
        raise ValueError(message)
    with evaluating(model):
        with torch.no_grad():
            captured = capture(model, blocks, torch.split(ids, batch_size))
        hidden = captured.hidden
        for block, call in zip(blocks, captured.calls, strict=True):
            with placed(block, device) as place:
                if progress:
                    progress(block.name, block.index, len(blocks))
                visit = Visit(block, call.to(place), hidden, place)
                yield visit
                if block is not blocks[-1]:
                    for index, output in enumerate(visit.outputs()):
                        hidden[index] = output.to("cpu")
        if progress:
            progress("done", len(blocks), len(blocks))


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

    Masks, position embeddings and all else that a block gets are those of the model's own
    call, block by block (sliding and full attention differ). The cache is off. Hidden states
    are kept on the CPU. Raises UnsupportedModelError when an argument depends on the tokens.
    """
    seen: dict[int, Call] = {}
    inputs: list[torch.Tensor] = []

    def note(block: Block, states: torch.Tensor, call: Call) -> torch.Tensor:
        seen[block.index] = call
        if block.index == 0:
            inputs.append(states.to("cpu"))
        if block is blocks[-1]:
            raise _AllSeen
        return states

    first: tuple[Call, ...] = ()
    with idle(blocks, note):
        for batch in batches:
            seen.clear()
            with suppress(_AllSeen):
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
    return Captured(inputs, first)


@contextmanager
def idle(
    blocks: Sequence[Block], hand_on: Callable[[Block, torch.Tensor, Call], torch.Tensor]
) -> Iterator[None]:
    """Let the blocks compute nothing for a while.

    Each hands on what `hand_on` returns for it, its input and its call. The first block runs once,
    without gradients: its real output shows whether blocks return tuples.
    """
    import torch

    shape: list[Any] = []

    def replaced(block: Block, real: Callable[..., Any]) -> Callable[..., Any]:
        def forward(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - any block's arguments
            if not shape:
                with torch.no_grad():
                    shape.append(real(*args, **kwargs))
            states = args[0] if args else kwargs.pop("hidden_states")
            states = hand_on(block, states, Call(args[1:], kwargs))
            return (states, *shape[0][1:]) if isinstance(shape[0], tuple) else states

        return forward

    before = [vars(block.module).get("forward") for block in blocks]
    for block in blocks:
        block.module.forward = replaced(block, block.module.forward)
    try:
        yield
    finally:
        for block, own in zip(blocks, before, strict=True):
            del block.module.forward  # the class's own is found again
            if own is not None:
                block.module.forward = own


@contextmanager
def placed(block: Block, device: str | torch.device | None) -> Iterator[torch.device]:
    """Have a block on `device` (None: where it is) for a while, and yield that device."""
    import torch

    home = next(block.module.parameters()).device
    place = torch.device(device) if device else home
    block.module.to(place)
    try:
        yield place
    finally:
        block.module.to(home)


@contextmanager
def evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Have the model in evaluation mode (no dropout) for a while."""
    training = model.training
    model.train(mode=False)
    try:
        yield
    finally:
        model.train(training)


def hidden_states(output: Any) -> torch.Tensor:  # noqa: ANN401 - a module's answer
    """Return the hidden states of what a block, an attention or an MLP returned."""
    states: torch.Tensor = output[0] if isinstance(output, (tuple, list)) else output
    return states


class _AllSeen(Exception):  # noqa: N818 - a way out of a forward call, no error
    """The last layer or block was reached; what comes after it need not be computed."""


class _Watch:
    """Hands each layer's inputs to its statistics.

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
        self.sequences = sequences
        self.calls, self.expected = 0, self.calls
        self.current.clear()

    def take(self, layer: Layer, inputs: torch.Tensor, make: Callable[[Layer], Any]) -> None:
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


def _moved(value: Any, device: torch.device) -> Any:  # noqa: ANN401 - nested arguments
    import torch

    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {name: _moved(part, device) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(_moved(part, device) for part in value)
    return value


def _same(one: Any, other: Any) -> bool:  # noqa: ANN401 - nested arguments
    """Return whether two nested arguments hold the same values; objects without values do."""
    import torch

    if one is other:
        return True
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.shape == other.shape and torch.equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[k], other[k]) for k in one)
    if isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)):
        return len(one) == len(other) and all(map(_same, one, other))
    if type(one) is not type(other) or isinstance(one, torch.Tensor):
        return False
    return bool(one == other) if isinstance(one, (bool, int, float, str)) else True

"""The sequential layer runner: block after block, each fed by the compressed ones before it.

Inside a block everything is looked at before anything is changed; then the block runs again
with its new weights and feeds the next one. One block at a time is on the computing device,
and the hidden states rest on the CPU.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pytest_llmsafety.compressors.capture import capture

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.capture import Call
    from pytest_llmsafety.compressors.layers import Block, Layer


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

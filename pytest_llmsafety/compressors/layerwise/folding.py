"""Fold the scales of a layer's inputs into the norm or the layer before it.

No model family is named here. A place is accepted when the block's output is as before after a
trial scaling. A GELU in between, rotated queries, a second reader of a norm's output or shared
value heads fail that trial.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors.layerwise.layers import weight_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeAlias

    import torch

    from pytest_llmsafety.compressors.layerwise.layers import Layer
    from pytest_llmsafety.compressors.layerwise.walk import Visit

    Reading: TypeAlias = tuple[torch.Tensor, tuple[Layer, ...]]
    Norm: TypeAlias = tuple[torch.nn.Module, Any]

CLOSE = 0.01  # of the block's own contribution; powers of two are exact except for 1 + w


@dataclass(frozen=True)
class Fold:
    """Layers with one input, and the module before them that takes over its scales.

    `source` is a norm or a Linear or Conv1D (`layer`), whose last outputs are the input.
    `shifted` norms multiply with 1 + weight, as Gemma's do.
    """

    layers: tuple[Layer, ...]
    source: torch.nn.Module
    layer: Layer | None = None
    shifted: bool = False

    def apply(self, scales: torch.Tensor) -> None:
        """Multiply the layers' columns with `scales` [in], and divide the source's outputs."""
        bias: Any = getattr(self.source, "bias", None)
        scales = scales.to(self.layers[0].weight.dtype).to(scales.dtype)  # the same on both sides
        if self.layer:
            self.layer.weight[-len(scales) :].div_(scales.to(self.layer.weight)[:, None])
        else:
            weight = weight_of(self.source).data
            shift = 1 if self.shifted else 0
            weight.copy_((weight.to(scales.dtype) + shift) / scales.to(weight.device) - shift)
        if bias is not None:
            bias.data[-len(scales) :].div_(scales.to(bias))
        for layer in self.layers:
            layer.weight.mul_(scales.to(layer.weight))

    @property
    def tensors(self) -> list[torch.Tensor]:
        """Return the tensors that `apply` changes."""
        modules = [self.source, *(layer.module for layer in self.layers)]
        return [parameter.data for module in modules for parameter in module.parameters(False)]  # noqa: FBT003


@contextmanager
def restored(tensors: Sequence[torch.Tensor]) -> Iterator[None]:
    """Put the values of `tensors` back at the end."""
    copies = [tensor.clone() for tensor in tensors]
    try:
        yield
    finally:
        for tensor, copy in zip(tensors, copies, strict=True):
            tensor.copy_(copy)


def folds(visit: Visit) -> tuple[list[Fold], list[Layer]]:
    """Return the folds of one block, and the layers for whose scales there is no place."""
    groups, norms, expected = _readers(visit)
    found: list[Fold] = []
    left: list[Layer] = []
    for number, (source, layers) in enumerate(groups):
        before = [layer for _, group in groups[:number] for layer in group]
        for fold in _candidates(source, layers, norms, before):
            if _changes_nothing(visit, fold, expected):
                found.append(fold)
                break
        else:
            left.extend(layers)
    return found, left


def _readers(
    visit: Visit,
) -> tuple[list[Reading], list[Norm], torch.Tensor]:
    """Return inputs with the layers that read them, the outputs of norms, and of the block."""
    inputs: list[tuple[torch.Tensor, list[Layer]]] = []
    norms: list[Norm] = []
    layers = {layer.module: layer for layer in visit.layers}

    def before(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        for tensor, readers in inputs:
            if tensor is args[0]:
                readers.append(layers[module])
                return
        inputs.append((args[0], [layers[module]]))

    def after(module: torch.nn.Module, _args: object, output: object) -> None:
        norms.append((module, output))

    handles = [module.register_forward_pre_hook(before) for module in layers]
    handles += [
        module.register_forward_hook(after)
        for module in visit.block.module.modules()
        if module not in layers and getattr(getattr(module, "weight", None), "ndim", 0) == 1
    ]
    try:
        output = _output(visit)
    finally:
        for handle in handles:
            handle.remove()
    return [(tensor, tuple(readers)) for tensor, readers in inputs], norms, output


def _candidates(
    read: torch.Tensor,
    layers: tuple[Layer, ...],
    norms: list[Norm],
    before: Sequence[Layer],
) -> Iterator[Fold]:
    """Yield the norm that made the input, or else each layer before, nearest first."""
    for module, output in norms:
        if output is read:
            yield Fold(layers, module)
            yield Fold(layers, module, shifted=True)
            return
    for layer in reversed(before):
        if layer.outputs % layers[0].inputs == 0:
            yield Fold(layers, layer.module, layer)


def _changes_nothing(visit: Visit, fold: Fold, expected: torch.Tensor) -> bool:
    """Return whether the block's output is `expected` with scales of 1/2, 1 and 2 in the fold."""
    import torch

    chance = torch.Generator().manual_seed(0)
    powers = torch.randint(-1, 2, (fold.layers[0].inputs,), generator=chance)
    with restored(fold.tensors):
        fold.apply(2.0 ** powers.to(fold.layers[0].working_dtype).to(visit.device))
        found = _output(visit)
    own = (expected - visit.hidden[0].to(expected)).float().norm()
    return bool((found - expected).float().norm() <= CLOSE * own)


def _output(visit: Visit) -> torch.Tensor:
    return visit.call.run(visit.block.module, visit.hidden[0].to(visit.device))

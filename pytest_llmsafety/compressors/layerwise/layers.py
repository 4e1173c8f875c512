"""Find the decoder blocks of a model, and in each its layers and experts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from pytest_llmsafety.compressors.layerwise.experts import (
    expert_module,
    left_dense,
    routers,
    stacks,
)
from pytest_llmsafety.errors import NonFiniteWeightsError, UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.layerwise.experts import Stack


@dataclass(frozen=True)
class Layer:
    """One Linear or Conv1D of a decoder block; `name` is its name in the model."""

    name: str
    module: torch.nn.Module

    @property
    def stored(self) -> torch.Tensor:
        """Return the weight as the model stores it."""
        return weight_of(self.module).detach()

    @property
    def is_transposed(self) -> bool:
        """Return whether it is stored as [in, out], as Conv1D does."""
        return is_conv1d(self.module)

    @property
    def weight(self) -> torch.Tensor:
        """Return the weight as [out, in], a view into the layer."""
        return self.stored.T if self.is_transposed else self.stored

    @property
    def outputs(self) -> int:
        """Return the number of outputs, the rows of the weight."""
        return self.weight.shape[0]

    @property
    def inputs(self) -> int:
        """Return the number of inputs, the columns of the weight."""
        return self.weight.shape[1]

    @property
    def working_dtype(self) -> torch.dtype:
        """Return the dtype to compute in: that of the weight, but at least float32."""
        import torch

        return torch.promote_types(self.weight.dtype, torch.float32)

    def working_copy(self) -> torch.Tensor:
        """Return a copy of the weight [out, in] to compute with: contiguous, at least float32."""
        import torch

        form = torch.contiguous_format
        return self.weight.to(self.working_dtype, copy=True, memory_format=form)

    def write(self, values: torch.Tensor) -> bool:
        """Put new values [out, in] into the layer, in its own dtype; return whether any changed.

        The layer may keep `values` itself, so do not change it afterwards.
        Raises NonFiniteWeightsError, and leaves the layer as it was, when one is NaN or Inf.
        """
        import torch

        new = values.to(self.weight)
        if not is_finite(new):
            message = (
                f"{self.name} would get NaN or Inf weights. Expected finite ones; in float16 a "
                "larger dtype may help (--llmsafety-dtype bfloat16 or float32)."
            )
            raise NonFiniteWeightsError(message)
        changed = not torch.equal(new, self.weight)
        self._store(new.T if self.is_transposed else new)
        return changed

    def _store(self, values: torch.Tensor) -> None:
        weight_of(self.module).data = values.contiguous()  # a write into a mapped file costs more


@dataclass(frozen=True)
class Expert(Layer):
    """The matrix of one expert in a stack; all experts of a stack have its name."""

    stack: Stack
    index: int

    @property
    def stored(self) -> torch.Tensor:
        """Return the matrix as the model stores it."""
        return self.stack.matrix(self.index)

    @property
    def is_transposed(self) -> bool:
        """Return whether it is stored as [in, out]."""
        return self.stack.transposed

    def _store(self, values: torch.Tensor) -> None:
        self.stored.copy_(values)


@dataclass(frozen=True)
class Block:
    """One decoder block with its layers, in the order in which the model names them."""

    index: int
    name: str
    module: torch.nn.Module
    layers: tuple[Layer, ...]


def weight_of(layer: torch.nn.Module) -> torch.Tensor:
    """Return the weight of a layer that is known to have one."""
    weight: torch.Tensor = layer.weight  # type: ignore[assignment]
    return weight


def linear_layers(model: PreTrainedModel) -> Iterator[tuple[str, torch.nn.Module]]:
    """Yield name and module of every Linear and Conv1D except the output embedding (lm_head).

    The papers leave the output embedding dense; where it is tied to the input embedding a
    change of it would untie them.
    """
    output = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    return ((name, layer) for name, layer in _linears(model) if layer is not output)


def is_conv1d(module: torch.nn.Module) -> bool:
    """Return whether this is transformers' Conv1D, a linear layer with its weight as [in, out]."""
    return isinstance(module, _conv1d())


@cache
def _conv1d() -> type:  # cached, because every use of a weight asks for it
    from transformers.pytorch_utils import Conv1D

    return Conv1D


def decoder_blocks(model: PreTrainedModel, *, experts: bool = False) -> tuple[Block, ...]:
    """Return the decoder blocks in order: the one outermost ModuleList whose members hold layers.

    The output embedding (`lm_head`) and all else outside the blocks are left alone. With
    `experts` the matrices of a mixture's experts are layers, too, and its routers are not.
    Raises UnsupportedModelError for an encoder-decoder, a mixture of experts (without `experts`),
    packed weights, and a model with no such list or several.
    """
    _refuse(model, experts=experts)
    lists = [found for found in _outermost_lists(model, "") if any(map(_linears, found[1]))]
    if len(lists) != 1:
        names = ", ".join(name for name, _ in lists) or "none"
        message = (
            f"{type(model).__name__}: expected one list of decoder blocks with Linear or Conv1D "
            f"layers, found {names}. Compress it with a function of your own (module:function)."
        )
        raise UnsupportedModelError(message)
    start, blocks = lists[0]
    dense = routers(model) if experts else {}
    return tuple(
        Block(index, name, block, _layers(name, block, dense))
        for index, block in enumerate(blocks)
        for name in (f"{start}.{index}",)
    )


def experts_in(module: torch.nn.Module, start: str = "") -> Iterator[Expert]:
    """Yield the matrix of every expert below `module`, whose own name is `start`."""
    for stack in stacks(module, start):
        for index in range(stack.count):
            yield Expert(stack.name, stack.module, stack, index)


def all_layers(blocks: Sequence[Block]) -> list[Layer]:
    """Return the layers of all blocks, in order."""
    return [layer for block in blocks for layer in block.layers]


def outside(model: PreTrainedModel, blocks: Sequence[Block]) -> tuple[tuple[str, str], ...]:
    """Return every Linear and Conv1D outside the blocks with the reason why it is left alone."""
    known = {layer.name for layer in all_layers(blocks)} | left_dense(model).keys()
    output = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    others = tuple(
        (name, "output embedding, kept dense" if module is output else "not in a decoder block")
        for name, module in _linears(model)
        if name not in known
    )
    return (*others, *left_dense(model).items())


def is_finite(values: torch.Tensor) -> bool:
    """Return whether no value [out, in] is NaN or Inf."""
    import torch

    # the extremes tell, in one pass over memory
    extremes = torch.aminmax(values if values.is_contiguous() else values.T)
    return bool(torch.isfinite(torch.stack(extremes)).all())


def check_finite(layers: Sequence[Layer]) -> None:
    """Raise NonFiniteWeightsError that names the first layer with NaN or Inf weights."""
    for layer in layers:
        if not is_finite(layer.weight):
            message = (
                f"{layer.name} holds NaN or Inf weights, so nothing was changed. Expected finite "
                "ones: is the checkpoint complete, and the dtype wide enough?"
            )
            raise NonFiniteWeightsError(message)


def _refuse(model: PreTrainedModel, *, experts: bool) -> None:
    if model.config.is_encoder_decoder:
        message = f"{type(model).__name__} has an encoder. Expected a decoder-only model."
        raise UnsupportedModelError(message)
    holder = "" if experts else expert_module(model)
    if holder:
        message = (
            f"{type(model).__name__} is a mixture of experts ({holder}), which this method does "
            "not reach. Use int8, int4, int2, float8, rtn, nf4, fp4, llm.int8 or magnitude "
            "(with one amount for all layers); or compress it with llm-compressor "
            "(llmcompressor:RECIPE.yaml) or elsewhere, and judge the folder: checkpoint:PATH. A "
            "token runs through few experts, so few calibration tokens would reach a weight, "
            "and the inputs of an expert cannot be watched."
        )
        raise UnsupportedModelError(message)


def _outermost_lists(
    module: torch.nn.Module, name: str
) -> Iterator[tuple[str, torch.nn.ModuleList]]:
    import torch

    for child_name, child in module.named_children():
        full = f"{name}.{child_name}" if name else child_name
        if isinstance(child, torch.nn.ModuleList):
            yield full, child
        else:
            yield from _outermost_lists(child, full)


def _linears(module: torch.nn.Module) -> list[tuple[str, torch.nn.Module]]:
    import torch

    return [
        (name, child)
        for name, child in module.named_modules()
        if isinstance(child, torch.nn.Linear) or is_conv1d(child)
    ]


def _layers(start: str, block: torch.nn.Module, dense: Mapping[str, str]) -> tuple[Layer, ...]:
    """Return the layers of one block without those named in `dense`; refuse packed weights."""
    linear = (Layer(f"{start}.{name}", module) for name, module in _linears(block))
    layers = (*(one for one in linear if one.name not in dense), *experts_in(block, start))
    for layer in layers:
        weight = layer.stored
        if not weight.is_floating_point() or type(weight.data).__name__ != "Tensor":
            message = (
                f"{layer.name} holds packed weights ({weight.dtype}). Expected plain "
                "floating-point ones: put the step that packs them last, or leave it out."
            )
            raise UnsupportedModelError(message)
    return layers

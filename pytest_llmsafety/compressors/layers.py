"""What is found in a model: its decoder blocks, and in each the Linear and Conv1D layers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from pytest_llmsafety.compressors.base import weight_of
from pytest_llmsafety.errors import NonFiniteWeightsError, UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch
    from transformers import PreTrainedModel

EXPERTS = ("Experts", "MoE")  # how transformers' classes of expert layers end


@dataclass(frozen=True)
class Layer:
    """One Linear or Conv1D of a decoder block; `name` is its name in the model."""

    name: str
    module: torch.nn.Module

    @property
    def weight(self) -> torch.Tensor:
        """The weight as [out, in], a view into the layer; Conv1D stores it as [in, out]."""
        weight = weight_of(self.module).detach()
        return weight.T if is_conv1d(self.module) else weight

    @property
    def outputs(self) -> int:
        """Rows of the weight."""
        return self.weight.shape[0]

    @property
    def inputs(self) -> int:
        """Columns of the weight."""
        return self.weight.shape[1]

    @property
    def working_dtype(self) -> torch.dtype:
        """What to compute in: at least float32."""
        import torch

        return torch.promote_types(self.weight.dtype, torch.float32)

    def working_copy(self) -> torch.Tensor:
        """A copy of the weight [out, in] to compute with: contiguous, at least float32."""
        import torch

        form = torch.contiguous_format
        return self.weight.to(self.working_dtype, copy=True, memory_format=form)

    def write(self, values: torch.Tensor) -> bool:
        """Put new values [out, in] into the layer, in its own dtype; whether any changed.

        The layer may keep `values` itself, so it is not to be changed afterwards.
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
        stored = new.T if is_conv1d(self.module) else new
        weight_of(self.module).data = stored.contiguous()  # a write into a mapped file costs more
        return changed


@dataclass(frozen=True)
class Block:
    """One decoder block with its layers, in the order in which the model names them."""

    index: int
    name: str
    module: torch.nn.Module
    layers: tuple[Layer, ...]


def is_conv1d(module: torch.nn.Module) -> bool:
    """Whether this is transformers' Conv1D, a linear layer with its weight as [in, out]."""
    return isinstance(module, _conv1d())


@cache
def _conv1d() -> type:
    """The class, looked for once: every use of a weight asks."""
    from transformers.pytorch_utils import Conv1D

    return Conv1D


def decoder_blocks(model: PreTrainedModel) -> tuple[Block, ...]:
    """The decoder blocks in order: the one outermost ModuleList whose members hold layers.

    The output embedding (`lm_head`) and whatever else is outside the blocks are left alone.
    Raises UnsupportedModelError for an encoder-decoder, a mixture of experts, packed weights,
    and a model with no such list or several.
    """
    _refuse(model)
    lists = [found for found in _outermost_lists(model, "") if any(map(_linears, found[1]))]
    if len(lists) != 1:
        names = ", ".join(name for name, _ in lists) or "none"
        message = (
            f"{type(model).__name__}: expected one list of decoder blocks with Linear or Conv1D "
            f"layers, found {names}. Compress it with a function of your own (module:function)."
        )
        raise UnsupportedModelError(message)
    start, blocks = lists[0]
    return tuple(
        Block(index, f"{start}.{index}", block, _layers(f"{start}.{index}", block))
        for index, block in enumerate(blocks)
    )


def all_layers(blocks: Sequence[Block]) -> list[Layer]:
    """The layers of all blocks, in order."""
    return [layer for block in blocks for layer in block.layers]


def outside(model: PreTrainedModel, blocks: Sequence[Block]) -> tuple[tuple[str, str], ...]:
    """Every Linear and Conv1D outside the blocks with the reason why it is left alone."""
    inside = {layer.name for layer in all_layers(blocks)}
    output = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    return tuple(
        (name, "output embedding, kept dense" if module is output else "not in a decoder block")
        for name, module in _linears(model)
        if name not in inside
    )


def is_finite(values: torch.Tensor) -> bool:
    """Whether no value [out, in] is NaN or Inf: the extremes tell, in one pass over memory."""
    import torch

    extremes = torch.aminmax(values if values.is_contiguous() else values.T)
    return bool(torch.isfinite(torch.stack(extremes)).all())


def check_finite(layers: Sequence[Layer]) -> None:
    """Raise NonFiniteWeightsError that names the first layer with NaN or Inf weights."""
    for layer in layers:
        if not is_finite(layer.weight):
            message = (
                f"{layer.name} holds NaN or Inf weights, so nothing was changed. Expected finite "
                "ones: is the checkpoint whole, and the dtype wide enough?"
            )
            raise NonFiniteWeightsError(message)


def _refuse(model: PreTrainedModel) -> None:
    """Raise UnsupportedModelError for kinds of models whose layers are not one chain."""
    if model.config.is_encoder_decoder:
        message = f"{type(model).__name__} has an encoder. Expected a decoder-only model."
        raise UnsupportedModelError(message)
    experts = expert_module(model)
    if experts:
        message = (
            f"{type(model).__name__} is a mixture of experts ({experts}): each token "
            "reaches only some of them, so few calibration tokens would speak for a weight, and "
            "no published value says what is right. Expected a dense model. A checkpoint that "
            "was compressed elsewhere can be judged with checkpoint:PATH."
        )
        raise UnsupportedModelError(message)


def expert_module(model: PreTrainedModel) -> str:
    """Return the name of the first module that holds experts; empty for a dense model.

    The modules decide: dense models of some families (Nemotron-H, Doge) count experts in their
    configuration.
    """
    for name, module in model.named_modules():
        if name.rpartition(".")[2] == "experts" or type(module).__name__.endswith(EXPERTS):
            return str(name)
    return ""


def _outermost_lists(
    module: torch.nn.Module, name: str
) -> Iterator[tuple[str, torch.nn.ModuleList]]:
    """Name and module of each ModuleList that is in no other ModuleList."""
    import torch

    for child_name, child in module.named_children():
        full = f"{name}.{child_name}" if name else child_name
        if isinstance(child, torch.nn.ModuleList):
            yield full, child
        else:
            yield from _outermost_lists(child, full)


def _linears(module: torch.nn.Module) -> list[tuple[str, torch.nn.Module]]:
    """Name and module of each Linear and Conv1D below `module`."""
    import torch

    return [
        (name, child)
        for name, child in module.named_modules()
        if isinstance(child, torch.nn.Linear) or is_conv1d(child)
    ]


def _layers(start: str, block: torch.nn.Module) -> tuple[Layer, ...]:
    """The layers of one block. Raises UnsupportedModelError for packed weights."""
    layers = tuple(Layer(f"{start}.{name}", module) for name, module in _linears(block))
    for layer in layers:
        weight = weight_of(layer.module)
        if not weight.is_floating_point() or type(weight.data).__name__ != "Tensor":
            message = (
                f"{layer.name} holds packed weights ({weight.dtype}). Expected plain "
                "floating-point ones: put the step that packs them last, or leave it out."
            )
            raise UnsupportedModelError(message)
    return layers

"""Coupled parts of Llama-like blocks: heads that share a key, and channels of the gated MLP.

A part goes as a whole, so that the model stays a plain one with smaller numbers in its
configuration. All blocks lose equally many parts, because such a configuration has one number
for all of them.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors.layers import Layer, decoder_blocks
from pytest_llmsafety.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from transformers import PretrainedConfig, PreTrainedModel

ATTENTION = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
GATED_MLP = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
READ = ("self_attn.o_proj", "mlp.down_proj")  # these read the parts, the others make them


@dataclass(frozen=True)
class Sizes:
    """How many heads, keys and channels every block has; `head_width` is that of one head."""

    heads: int
    keys: int
    channels: int
    head_width: int

    def without(self, keys: int, channels: int) -> Sizes:
        """The sizes after `keys` groups of heads and `channels` were removed."""
        heads = self.heads - keys * (self.heads // self.keys)
        return Sizes(heads, self.keys - keys, self.channels - channels, self.head_width)


@dataclass(frozen=True)
class GatedBlock:
    """One block: its seven layers by their names in the block."""

    module: torch.nn.Module
    layers: Mapping[str, Layer]

    def scores(self, salience: Mapping[str, torch.Tensor], keys: int) -> tuple[Any, Any]:
        """Importance of each group of heads [keys] and of each channel [channels].

        `salience` holds a number for each weight, by layer name; a part's importance is the sum
        over all weights that go with it.
        """
        totals = {
            short: salience[layer.name].sum(dim=0 if short in READ else 1)
            for short, layer in self.layers.items()
        }
        heads = sum(totals[short].reshape(keys, -1).sum(dim=1) for short in ATTENTION)
        return heads, sum(totals[short] for short in GATED_MLP)

    def keep(self, keys: torch.Tensor, channels: torch.Tensor, *, n_keys: int) -> None:
        """Keep the groups of heads and the channels with these numbers, and nothing else."""
        for short, layer in self.layers.items():
            width = layer.inputs if short in READ else layer.outputs
            kept = channels if short in GATED_MLP else _spread(keys, width // n_keys)
            _cut(layer.module, kept.to(layer.weight.device), inputs=short in READ)


def gated_blocks(model: PreTrainedModel) -> tuple[tuple[GatedBlock, ...], Sizes]:
    """The blocks of a Llama-like model, and their sizes.

    Raises UnsupportedModelError where a block is not made of separate query, key, value and
    output layers and a gated MLP.
    """
    import torch

    found = []
    for block in decoder_blocks(model):
        layers = {layer.name[len(block.name) + 1 :]: layer for layer in block.layers}
        wanted = {*ATTENTION, *GATED_MLP}
        linear = all(isinstance(layer.module, torch.nn.Linear) for layer in block.layers)
        if layers.keys() != wanted or not linear:
            odd = ", ".join(sorted(layers.keys() ^ wanted)[:4]) or "Conv1D"
            raise _unsupported(model, f"{block.name} differs in {odd}")
        found.append(GatedBlock(block.module, layers))
    sizes = _sizes(model.config.get_text_config(), found[0].layers)
    if sizes is None:
        raise _unsupported(model, "its configuration does not tell the sizes of its layers")
    return tuple(found), sizes


def can_be_configured(model: PreTrainedModel, sizes: Sizes, *, savable: bool) -> bool:
    """Whether the model's class builds exactly these sizes, and all else as it is.

    Unless `savable` is False, its configuration also has to take them when it is read from a
    file: Llama's, for one, wants a number of heads that divides the hidden size.
    """
    import torch

    try:
        config = copy.deepcopy(model.config)
        write_sizes(config, sizes)
        if savable:
            type(config).from_dict(config.to_dict())
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            new = _shapes(type(model)(config))
    except Exception:  # noqa: BLE001 - whatever a configuration or a model's class refuses
        return False
    names = [block.name for block in decoder_blocks(model)]
    parts = {f"{name}.{short}" for name in names for short in (*ATTENTION, *GATED_MLP)}
    wanted = _shapes(model)
    for name, shape in wanted.items():
        layer, _, kind = name.rpartition(".")
        if layer in parts:
            wanted[name] = _new_shape(layer, kind, shape, sizes)
    return new == wanted


def write_sizes(config: PretrainedConfig, sizes: Sizes) -> None:
    """Put the sizes into a configuration, the width of a head always among them."""
    text: Any = config.get_text_config()
    text.num_attention_heads = sizes.heads
    if hasattr(text, "num_key_value_heads"):
        text.num_key_value_heads = sizes.keys
    text.head_dim = sizes.head_width
    text.intermediate_size = sizes.channels


def write_attributes(blocks: Sequence[GatedBlock], sizes: Sizes) -> None:
    """Put the sizes where modules remember them, too."""
    named = {
        "num_heads": sizes.heads,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.keys,
        "intermediate_size": sizes.channels,
    }
    for block in blocks:
        for module in block.module.modules():
            for name, value in named.items():
                if isinstance(getattr(module, name, None), int):
                    setattr(module, name, value)


def _sizes(config: Any, layers: Mapping[str, Layer]) -> Sizes | None:  # noqa: ANN401
    """The sizes that the configuration tells; None where the layers have others."""
    heads = getattr(config, "num_attention_heads", None)
    keys = getattr(config, "num_key_value_heads", None) or heads
    channels = getattr(config, "intermediate_size", None)
    if not (isinstance(heads, int) and isinstance(keys, int) and isinstance(channels, int)):
        return None
    width = layers["self_attn.k_proj"].outputs // keys
    made = [layers[short].outputs for short in (*ATTENTION[:3], *GATED_MLP[:2])]
    read = [layers[short].inputs for short in READ]
    expected = [heads * width, keys * width, keys * width, channels, channels]
    same = made == expected and read == [heads * width, channels] and heads % keys == 0
    return Sizes(heads, keys, channels, width) if same else None


def _new_shape(layer: str, kind: str, shape: tuple[int, ...], sizes: Sizes) -> tuple[int, ...]:
    """The shape that a weight or bias of one of the seven layers is to have."""
    if layer.endswith(GATED_MLP):
        size = sizes.channels
    else:
        keys = layer.endswith(("k_proj", "v_proj"))
        size = (sizes.keys if keys else sizes.heads) * sizes.head_width
    if layer.endswith(READ):
        return shape if kind == "bias" else (shape[0], size)
    return (size, *shape[1:])


def _shapes(model: PreTrainedModel) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter and buffer."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return {name: tuple(tensor.shape) for name, tensor in tensors}


def _spread(parts: torch.Tensor, width: int) -> torch.Tensor:
    """The numbers of all rows (or columns) of some parts of `width` rows each."""
    import torch

    return (parts[:, None] * width + torch.arange(width, device=parts.device)).reshape(-1)


def _cut(module: Any, kept: torch.Tensor, *, inputs: bool) -> None:  # noqa: ANN401
    """Keep these inputs of a Linear, or else these outputs."""
    import torch

    weight, wanted = module.weight.detach(), module.weight.requires_grad
    smaller = weight[:, kept] if inputs else weight[kept]
    module.weight = torch.nn.Parameter(smaller.contiguous(), requires_grad=wanted)
    if inputs:
        module.in_features = len(kept)
        return
    module.out_features = len(kept)
    if module.bias is not None:
        module.bias = torch.nn.Parameter(module.bias.detach()[kept], requires_grad=wanted)


def _unsupported(model: PreTrainedModel, why: str) -> UnsupportedModelError:
    """The error for a model whose parts are not known."""
    return UnsupportedModelError(
        f"{type(model).__name__}: {why}, so nothing was changed. Expected blocks like Llama's "
        f"(Llama, Mistral, Qwen 2 and 3, Gemma): {', '.join((*ATTENTION, *GATED_MLP))}. Use a "
        "method that zeroes weights, such as wanda:0.5, or judge a checkpoint that was pruned "
        "elsewhere (checkpoint:PATH)."
    )

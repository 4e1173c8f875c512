"""`llm-pruner:0.2`: remove whole heads and MLP channels (LLM-Pruner, Ma et al., 2023).

The first-order Taylor importance of a weight is |weight x gradient| of the mean loss over the
calibration sequences (equation 5 without its second term). The importance of a part is the sum over
its weights. `l1` takes |weight| instead and looks at no data. Heads go with the key that they
share.

A part goes as a whole, so that the model stays a plain one with smaller numbers in its
configuration. All blocks lose equally many parts, because the configuration has one number for all.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors import calibration
from pytest_llmsafety.compressors.base import Compressor
from pytest_llmsafety.compressors.layer_compressor import LayerChange, record_of_layers
from pytest_llmsafety.compressors.layerwise.gradients import differentiable
from pytest_llmsafety.compressors.layerwise.layers import (
    Layer,
    check_finite,
    decoder_blocks,
    outside,
)
from pytest_llmsafety.compressors.layerwise.walk import evaluating
from pytest_llmsafety.compressors.parameters import Parameters, read
from pytest_llmsafety.compressors.record.file_sizes import dense_bytes
from pytest_llmsafety.errors import AllocationError, NonFiniteWeightsError, UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import torch
    from transformers import PretrainedConfig, PreTrainedModel

    from pytest_llmsafety.compressors.base import Context
    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.specs import Step

ROUNDING = 1e-9  # of a share, so that 0.8 of five groups is four of them
TOKENS = 2048  # of one batch
ATTENTION = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
GATED_MLP = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
READ = ("self_attn.o_proj", "mlp.down_proj")  # these read the parts, the others make them


class LlmPruner(Compressor):
    """Removes the least important share of heads and channels from every block."""

    parameters = Parameters(
        example="llm-pruner:0.2",
        sparsity=True,
        flags=(
            ("l1", "importance by |weight| instead of |weight x gradient|, without calibration"),
            ("unsaved", "the whole share of heads, even if no configuration file can say so"),
        ),
        calibrated=True,
    )

    def check(self, step: Step) -> None:
        """Refuse settings of the calibration texts where `l1` looks at none."""
        calibration.refuse_texts(step, read(step, self.parameters), "l1")

    def looks_at_texts(self, step: Step) -> bool:
        """Return False with `l1`."""
        return "l1" not in read(step, self.parameters).flags

    def compress(self, model: PreTrainedModel, step: Step, context: Context) -> CompressionRecord:
        """Score all parts of the dense model, cut the lowest out, and return the record."""
        import torch

        values = read(step, self.parameters)
        blocks, sizes = gated_blocks(model)
        layers = [layer for block in blocks for layer in block.layers.values()]
        check_finite(layers)
        savable = "unsaved" not in values.flags
        plan = planned(model, sizes, values.sparsity or 0.0, savable=savable)
        smaller = plan.sizes
        before, count = dense_bytes(model), model.num_parameters()
        rows: tuple[tuple[str, str], ...] = ()
        if "l1" in values.flags:
            salience = {layer.name: layer.working_copy().abs_() for layer in layers}
        else:
            drawn = calibration.draw(model, context, values)
            salience = taylor(model, layers, drawn.ids, context.progress)
            rows = drawn.rows()
        shapes = {layer.name: layer.weight.shape for layer in layers}
        with torch.no_grad():
            for block in blocks:
                heads, channels = block.scores(salience, sizes.keys)
                kept = highest(heads, smaller.keys), highest(channels, smaller.channels)
                block.keep(*kept, n_keys=sizes.keys)
        write_sizes(model.config, smaller)
        write_attributes(blocks, smaller)
        done = [
            LayerChange.of(layer, changed=layer.weight.shape != shapes[layer.name])
            for layer in layers
        ]
        skipped = outside(model, decoder_blocks(model))
        record = record_of_layers(step, values, done, before=before, skipped=skipped)
        if plan.heads_stay:
            whole = {name for name in shapes if name.endswith(ATTENTION)}
            skipped = tuple((name, plan.heads_stay) for name in shapes if name in whole)
            others = tuple(row for row in record.layers_skipped if row[0] not in whole)
            record = replace(record, layers_skipped=(*skipped, *others))
        share = 1 - model.num_parameters() / count
        return replace(
            record,
            bytes_after=dense_bytes(model),
            notes=(*plan.notes, f"{share:.1%} of the model's parameters are gone"),
            calibration=rows,
        )


@dataclass(frozen=True)
class PruningPlan:
    """The sizes after the pruning, notes about them, and why all heads stay (empty: some go)."""

    sizes: Sizes
    notes: tuple[str, ...]
    heads_stay: str


def planned(model: PreTrainedModel, sizes: Sizes, ratio: float, *, savable: bool) -> PruningPlan:
    """Return what is to be removed from blocks of these `sizes`.

    Of the keys' width and of the channels the share `ratio` goes, heads as whole groups only.
    Where the configuration does not take so few heads, fewer groups go. Raises AllocationError
    for a share that leaves less than one group or channel, and UnsupportedModelError where the
    configuration cannot express even fewer channels.
    """
    check_share(model, sizes, ratio)
    width = sizes.keys * sizes.head_width
    channels = min(sizes.channels - 1, sizes.channels - int(sizes.channels * (1 - ratio)))
    wanted = min(sizes.keys - 1, (width - int(width * (1 - ratio))) // sizes.head_width)
    for keys in range(wanted, -1, -1):
        smaller = sizes.without(keys, channels)
        if can_be_configured(model, smaller, savable=savable):
            return _pruning_plan(model, sizes, channels=channels, keys=keys, wanted=wanted)
    message = (
        f"{type(model.config).__name__} cannot express {channels} fewer channels in every block, "
        "so nothing was changed: the pruned model could not be saved and loaded. Expected a "
        "configuration with one intermediate_size, such as Llama's."
    )
    raise UnsupportedModelError(message)


def check_share(model: PreTrainedModel, sizes: Sizes, ratio: float) -> None:
    """Raise AllocationError, with the largest share that leaves a group and a channel.

    Heads that all share one key are never removed, so they set no limit.
    """
    fewest = min(sizes.channels, sizes.keys) if sizes.keys > 1 else sizes.channels
    most = 1 - 1 / fewest
    if ratio > most + ROUNDING:
        message = (
            f"the share {ratio:g} leaves less than one of the {sizes.keys} groups of heads or of "
            f"the {sizes.channels} MLP channels in each block of this {type(model).__name__}, so "
            f"nothing was changed. Expected at most {math.floor(most * 100) / 100:g}."
        )
        raise AllocationError(message)


def taylor(
    model: PreTrainedModel,
    layers: Sequence[Layer],
    ids: torch.Tensor,
    progress: Callable[[str, int, int], None],
) -> dict[str, torch.Tensor]:
    """Return |weight x gradient| of each weight, by layer name; `ids` are [sequences, tokens].

    The gradient is that of the mean loss over all sequences, summed in float32 or wider.
    Raises NonFiniteWeightsError, before any change, when one is not finite.
    """
    import torch

    sums = [layer.working_copy().zero_() for layer in layers]
    with evaluating(model), differentiable(layers) as weights, torch.enable_grad():
        done = 0
        for rows in torch.split(ids.to(model.device), max(1, TOKENS // ids.shape[1])):
            progress("gradients", done, len(ids))
            done += len(rows)
            loss = model(input_ids=rows, labels=rows, use_cache=False).loss
            for total, gradient in zip(sums, torch.autograd.grad(loss, weights), strict=True):
                total.add_(gradient, alpha=len(rows) / len(ids))
    salience = {}
    for layer, total in zip(layers, sums, strict=True):
        salience[layer.name] = total.mul_(layer.weight).abs_()
        if not torch.isfinite(total).all():
            message = (
                f"the gradient of {layer.name} holds NaN or Inf. Expected finite ones: in float16 "
                "a larger dtype may help (--llmsafety-dtype bfloat16 or float32)."
            )
            raise NonFiniteWeightsError(message)
    return salience


def highest(scores: torch.Tensor, count: int) -> torch.Tensor:
    """Return the numbers of the `count` highest scores, ascending."""
    import torch

    removed = len(scores) - count
    return torch.argsort(scores, stable=True)[removed:].sort().values


def _pruning_plan(
    model: PreTrainedModel, sizes: Sizes, *, channels: int, keys: int, wanted: int
) -> PruningPlan:
    each = sizes.heads // sizes.keys
    removed = (
        f"removed from every block: {channels} of {sizes.channels} MLP channels, {keys} of "
        f"{sizes.keys} groups of heads ({each} query heads and their key and value head)"
    )
    smaller = sizes.without(keys, channels)
    if not keys:
        stay = f"all heads stay: {_why_all_stay(model, sizes, channels, wanted)}"
        return PruningPlan(smaller, (removed, stay), stay)
    if keys < wanted:
        fewer = (
            f"{wanted} groups of heads should go, but {type(model.config).__name__} cannot have "
            f"{sizes.without(wanted, 0).heads} heads at width {model.config.hidden_size}"
        )
        return PruningPlan(smaller, (removed, fewer), "")
    return PruningPlan(smaller, (removed,), "")


def _why_all_stay(model: PreTrainedModel, sizes: Sizes, channels: int, wanted: int) -> str:
    """Return why no group of heads goes, and the smallest share that removes some."""
    if sizes.keys == 1:
        return "they share one key"
    why = f"the share to remove is less than one of the {sizes.keys} groups"
    if wanted:
        heads, width = sizes.without(wanted, 0).heads, model.config.hidden_size
        why = f"{type(model.config).__name__} cannot have {heads} heads at width {width}"
    for keys in range(wanted + 1, sizes.keys):
        if can_be_configured(model, sizes.without(keys, channels), savable=True):
            least = math.ceil(1000 * keys / sizes.keys) / 1000
            return f"{why}; shares of at least {least:g} remove {keys} of the {sizes.keys} groups"
    return why


@dataclass(frozen=True)
class Sizes:
    """How many heads, keys and channels every block has; `head_width` is that of one head."""

    heads: int
    keys: int
    channels: int
    head_width: int

    def without(self, keys: int, channels: int) -> Sizes:
        """Return the sizes after `keys` groups of heads and `channels` were removed."""
        heads = self.heads - keys * (self.heads // self.keys)
        return Sizes(heads, self.keys - keys, self.channels - channels, self.head_width)


@dataclass(frozen=True)
class GatedBlock:
    """One block and its seven layers, by their names in the block."""

    module: torch.nn.Module
    layers: Mapping[str, Layer]

    def scores(self, salience: Mapping[str, torch.Tensor], keys: int) -> tuple[Any, Any]:
        """Return the importance of each group of heads [keys] and of each channel [channels].

        `salience` holds a number for each weight, by layer name. A part's importance is the sum
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
    """Return the blocks of a Llama-like model, and their sizes.

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
        raise _unsupported(model, "its configuration does not hold the sizes of its layers")
    return tuple(found), sizes


def can_be_configured(model: PreTrainedModel, sizes: Sizes, *, savable: bool) -> bool:
    """Return whether the model's class builds exactly these sizes, and all else as it is.

    Unless `savable` is False, its configuration also has to accept them when it is read from a
    file. Llama's, for one, wants a number of heads that divides the hidden size.
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
    """Write the sizes into a configuration, with the width of a head."""
    text: Any = config.get_text_config()
    text.num_attention_heads = sizes.heads
    if hasattr(text, "num_key_value_heads"):
        text.num_key_value_heads = sizes.keys
    text.head_dim = sizes.head_width
    text.intermediate_size = sizes.channels


def write_attributes(blocks: Sequence[GatedBlock], sizes: Sizes) -> None:
    """Write the sizes into the modules that keep a copy of them."""
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
    """Return the sizes in the configuration; None where the layers have others."""
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
    """Return the new shape of a weight or bias of one of the seven layers."""
    if layer.endswith(GATED_MLP):
        size = sizes.channels
    else:
        keys = layer.endswith(("k_proj", "v_proj"))
        size = (sizes.keys if keys else sizes.heads) * sizes.head_width
    if layer.endswith(READ):
        return shape if kind == "bias" else (shape[0], size)
    return (size, *shape[1:])


def _shapes(model: PreTrainedModel) -> dict[str, tuple[int, ...]]:
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return {name: tuple(tensor.shape) for name, tensor in tensors}


def _spread(parts: torch.Tensor, width: int) -> torch.Tensor:
    """Return the numbers of all rows (or columns) of some parts of `width` rows each."""
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
    return UnsupportedModelError(
        f"{type(model).__name__}: {why}, so nothing was changed. Expected blocks like Llama's "
        f"(Llama, Mistral, Qwen 2 and 3, Gemma): {', '.join((*ATTENTION, *GATED_MLP))}. Use a "
        "method that zeroes weights, such as wanda:0.5, or judge a checkpoint that was pruned "
        "elsewhere (checkpoint:PATH)."
    )

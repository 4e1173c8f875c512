"""`llm-pruner:0.2`: removes whole heads and MLP channels (LLM-Pruner, Ma et al., 2023).

The first-order Taylor importance of a weight is |weight x gradient| of the mean loss over the
calibration sequences (equation 5 without its second term); that of a part is the sum over its
weights. `l1` takes |weight| instead and looks at no data. Heads go with the key that they share.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_llmsafety.compressors import calibration
from pytest_llmsafety.compressors.base import dense_bytes, weight_of
from pytest_llmsafety.compressors.layers import check_finite, decoder_blocks, outside
from pytest_llmsafety.compressors.method import Done, recorded
from pytest_llmsafety.compressors.parameters import Declared, Parameters, read
from pytest_llmsafety.compressors.structure import (
    ATTENTION,
    can_be_configured,
    gated_blocks,
    write_attributes,
    write_sizes,
)
from pytest_llmsafety.errors import AllocationError, NonFiniteWeightsError, UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.base import Context
    from pytest_llmsafety.compressors.layers import Layer
    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.compressors.structure import Sizes
    from pytest_llmsafety.specs import Step

ROUNDING = 1e-9  # of a share, so that 0.8 of five groups is four of them
TOKENS = 2048  # of one batch


class LlmPruner(Declared):
    """Remove the least important share of heads and channels from every block."""

    parameters = Parameters(
        example="llm-pruner:0.2",
        sparsity=True,
        flags=(
            ("l1", "importance by |weight| instead of |weight x gradient|, without calibration"),
            ("unsaved", "as many heads as asked even where no configuration file can say so"),
        ),
        calibrated=True,
    )

    def check(self, step: Step) -> None:
        """Refuse settings of the calibration texts where `l1` looks at none."""
        calibration.refuse_texts(step, read(step, self.parameters), "l1")

    def looks_at_texts(self, step: Step) -> bool:
        """Not with `l1`."""
        return "l1" not in read(step, self.parameters).flags

    def compress(self, model: PreTrainedModel, step: Step, context: Context) -> CompressionRecord:
        """Score all parts of the dense model, then cut the lowest ones out of every block."""
        import torch

        values = read(step, self.parameters)
        blocks, sizes = gated_blocks(model)
        layers = [layer for block in blocks for layer in block.layers.values()]
        check_finite(layers)
        savable = "unsaved" not in values.flags
        smaller, notes = planned(model, sizes, values.sparsity or 0.0, savable=savable)
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
        done = [_done(layer, layer.weight.shape != shapes[layer.name]) for layer in layers]
        skipped = outside(model, decoder_blocks(model))
        record = recorded(step, values, done, before=before, skipped=skipped)
        if smaller.keys == sizes.keys:  # then the last note says why
            whole = {name for name in shapes if name.endswith(ATTENTION)}
            skipped = tuple((name, notes[-1]) for name in shapes if name in whole)
            others = tuple(row for row in record.layers_skipped if row[0] not in whole)
            record = replace(record, layers_skipped=(*skipped, *others))
        share = 1 - model.num_parameters() / count
        return replace(
            record,
            bytes_after=dense_bytes(model),
            notes=(*notes, f"{share:.1%} of the model's parameters are gone"),
            calibration=rows,
        )


def planned(
    model: PreTrainedModel, sizes: Sizes, ratio: float, *, savable: bool
) -> tuple[Sizes, tuple[str, ...]]:
    """The sizes after the pruning, and what has to be said about them.

    Of the keys' width and of the channels the share `ratio` goes, heads as whole groups only.
    Where the configuration does not take so few heads, fewer groups go. Raises AllocationError
    for a share that leaves less than one group or channel, and UnsupportedModelError where the
    configuration cannot express even fewer channels.
    """
    check_share(model, sizes, ratio)
    width = sizes.keys * sizes.head_width
    channels = min(sizes.channels - 1, sizes.channels - int(sizes.channels * (1 - ratio)))
    asked = min(sizes.keys - 1, (width - int(width * (1 - ratio))) // sizes.head_width)
    for keys in range(asked, -1, -1):
        smaller = sizes.without(keys, channels)
        if can_be_configured(model, smaller, savable=savable):
            return smaller, _notes(model, sizes, channels=channels, keys=keys, asked=asked)
    message = (
        f"{type(model.config).__name__} cannot express {channels} fewer channels in every block, "
        "so nothing was changed: the pruned model could not be saved and loaded. Expected a "
        "configuration with one intermediate_size, such as Llama's."
    )
    raise UnsupportedModelError(message)


def check_share(model: PreTrainedModel, sizes: Sizes, ratio: float) -> None:
    """Raise AllocationError that tells the largest share that leaves a group and a channel.

    Heads that all share one key are never removed, so they bound nothing.
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
    """|weight x gradient| of each weight, by layer name; `ids` are [sequences, tokens].

    The gradient is that of the mean loss over all sequences, summed in float32 or wider.
    Raises NonFiniteWeightsError, before any change, when one is not finite.
    """
    import torch

    weights = [weight_of(layer.module) for layer in layers]
    sums = [layer.working_copy().zero_() for layer in layers]
    with _differentiable(model, weights):
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


@contextmanager
def _differentiable(model: PreTrainedModel, weights: Sequence[torch.Tensor]) -> Iterator[None]:
    """Let the loss be differentiated by `weights`, in evaluation mode; then all is as before."""
    import torch

    training, wanted = model.training, [weight.requires_grad for weight in weights]
    model.train(mode=False)
    try:
        for weight in weights:
            weight.requires_grad_(True)  # noqa: FBT003 - torch's own parameter has no name
        with torch.enable_grad():
            yield
    finally:
        for weight, before in zip(weights, wanted, strict=True):
            weight.requires_grad_(before)
        model.train(training)


def highest(scores: torch.Tensor, count: int) -> torch.Tensor:
    """The numbers of the `count` highest scores, ascending."""
    import torch

    removed = len(scores) - count
    return torch.argsort(scores, stable=True)[removed:].sort().values


def _notes(
    model: PreTrainedModel, sizes: Sizes, *, channels: int, keys: int, asked: int
) -> tuple[str, ...]:
    """What is removed from every block, and why fewer heads than asked for."""
    each = sizes.heads // sizes.keys
    removed = (
        f"removed from every block: {channels} of {sizes.channels} MLP channels, {keys} of "
        f"{sizes.keys} groups of heads ({each} query heads and their key and value head)"
    )
    if not keys:
        return removed, f"all heads stay: {_why_all_stay(model, sizes, channels, asked)}"
    if keys < asked:
        fewer = (
            f"{asked} groups of heads should go, but {type(model.config).__name__} takes no "
            f"{sizes.without(asked, 0).heads} heads at width {model.config.hidden_size}"
        )
        return removed, fewer
    return (removed,)


def _why_all_stay(model: PreTrainedModel, sizes: Sizes, channels: int, asked: int) -> str:
    """Return why no group of heads goes, and the smallest share that removes some."""
    if sizes.keys == 1:
        return "they share one key"
    why = f"the share to remove is less than one of the {sizes.keys} groups"
    if asked:
        heads, width = sizes.without(asked, 0).heads, model.config.hidden_size
        why = f"{type(model.config).__name__} takes no {heads} heads at width {width}"
    for keys in range(asked + 1, sizes.keys):
        if can_be_configured(model, sizes.without(keys, channels), savable=True):
            least = math.ceil(1000 * keys / sizes.keys) / 1000
            return f"{why}; shares from {least:g} on remove {keys} of the {sizes.keys} groups"
    return why


def _done(layer: Layer, changed: bool) -> Done:  # noqa: FBT001 - read at one place
    """What became of one layer."""
    weight = weight_of(layer.module)
    zeros = weight.numel() - int(weight.count_nonzero())
    return Done(layer, changed, 8.0 * weight.element_size(), zeros, ())

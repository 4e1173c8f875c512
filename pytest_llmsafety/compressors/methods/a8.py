"""`a8` and `a8-static`: round the inputs of every layer to 8 bits while the model runs.

Weights stay as they are (`int8+a8` rounds both). The products are computed with the values that
the codes stand for, which is what an int8 kernel computes up to the rounding of its sums.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors import calibration
from pytest_llmsafety.compressors.base import Compressor
from pytest_llmsafety.compressors.layerwise.layers import (
    all_layers,
    check_finite,
    decoder_blocks,
    outside,
)
from pytest_llmsafety.compressors.layerwise.walk import evaluating
from pytest_llmsafety.compressors.parameters import Parameters, read
from pytest_llmsafety.compressors.runtime import record_of_rounding, roundings, trial, widened

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.base import Context
    from pytest_llmsafety.compressors.layerwise.layers import Block, Layer
    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.specs import Step

LARGEST = 127
SMALLEST_SCALE = 1e-30
MOMENTUM = 0.9
BITS = 8.0


class Dynamic(Compressor):
    """`a8`: one scale for each token's input, found while the model runs.

    A token's rounding depends on that token alone, so answers do not depend on the batch.
    """

    rounds_inputs = True
    parameters = Parameters(example="int8+a8")

    def compress(
        self,
        model: PreTrainedModel,
        step: Step,
        context: Context,  # noqa: ARG002 - scales are found while the model runs
    ) -> CompressionRecord:
        """Hook every layer of the decoder blocks, and return the record."""
        read(step, self.parameters)
        blocks = decoder_blocks(model)
        check_finite(all_layers(blocks))
        reached = round_inputs(model, all_layers(blocks), lambda _: per_token)
        note = f"{step}: inputs of layers in int8, a scale for each token"
        return _record(model, step, blocks, reached, note)


class Static(Compressor):
    """`a8-static`: one scale for each layer, found on calibration texts as quanto does.

    The scale is the largest magnitude of a sequence over 127, with momentum 0.9, found while the
    layers before are rounded already. Larger inputs are cut off later. (quanto can also round
    outputs.)
    """

    rounds_inputs = True
    parameters = Parameters(example="int8+a8-static", calibrated=True)

    def compress(self, model: PreTrainedModel, step: Step, context: Context) -> CompressionRecord:
        """Hook every layer, let the hooks see the calibration sequences, and return the record."""
        import torch

        values = read(step, self.parameters)
        blocks = decoder_blocks(model)
        check_finite(all_layers(blocks))
        drawn = calibration.draw(model, context, values)
        rules = {layer.name: PerTensor() for layer in all_layers(blocks)}
        reached = round_inputs(model, all_layers(blocks), lambda layer: rules[layer.name])
        run: Any = model
        for rule in rules.values():
            rule.start()
        with torch.no_grad(), evaluating(model):
            for number, row in enumerate(drawn.ids):
                run(input_ids=row[None].to(model.device), use_cache=False)
                context.progress("scales", number + 1, len(drawn.ids))
        for rule in rules.values():
            rule.learning = False
        note = f"{step}: inputs of layers in int8, a scale for each layer"
        record = _record(model, step, blocks, reached, note)
        return replace(record, parameters=values.rows(), calibration=drawn.rows())


@dataclass
class RoundedInputs:
    """A forward pre-hook that gives a layer its inputs as `rule` rounds them."""

    rule: Callable[[torch.Tensor], torch.Tensor]
    on: bool = True
    reached: bool = False

    def __call__(self, _module: torch.nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Return the layer's arguments, the first one rounded."""
        if not self.on:
            return None
        self.reached = True
        return (self.rule(args[0]), *args[1:])


class PerTensor:
    """Rounds with one scale; while `learning` it follows the inputs."""

    def __init__(self) -> None:
        """Start to learn."""
        self.start()

    def start(self) -> None:
        """Forget the scale and learn it anew."""
        self.scale: torch.Tensor | None = None
        self.learning = True

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return `inputs` on the grid of 256 multiples of the scale."""
        wide = widened(inputs)
        if self.learning:
            found = (wide.abs().amax() / LARGEST).clamp(min=SMALLEST_SCALE)
            old = self.scale
            self.scale = found if old is None else MOMENTUM * old + (1 - MOMENTUM) * found
        assert self.scale is not None  # noqa: S101 - it learned from the first inputs
        codes = (wide / self.scale).round().clamp(-LARGEST - 1, LARGEST)
        return (codes * self.scale).to(inputs.dtype)


def per_token(inputs: torch.Tensor, threshold: float = 0) -> torch.Tensor:
    """Return each row of `inputs` [..., in] on its own grid of 255 values, symmetric about 0.

    With a `threshold` above 0, values of at least that magnitude stay as they are, and the
    others have the grid to themselves.
    """
    import torch

    wide = widened(inputs)
    large = wide.abs() >= threshold if threshold else None
    rest = wide if large is None else wide.masked_fill(large, 0)
    largest = rest.abs().amax(dim=-1, keepdim=True).clamp(min=SMALLEST_SCALE)
    rounded = (rest * (LARGEST / largest)).round() * (largest / LARGEST)
    return (rounded if large is None else torch.where(large, wide, rounded)).to(inputs.dtype)


def round_inputs(
    model: PreTrainedModel,
    layers: Sequence[Layer],
    rule_of: Callable[[Layer], Callable[[torch.Tensor], torch.Tensor]],
) -> dict[str, bool]:
    """Hook every layer, and return by layer name whether a text reaches it in the model."""
    hooks = {layer.name: RoundedInputs(rule_of(layer)) for layer in layers}
    for layer in layers:
        layer.module.register_forward_pre_hook(hooks[layer.name])
    roundings(model).extend(hooks.values())
    trial(model)
    return {name: hook.reached for name, hook in hooks.items()}


def _record(
    model: PreTrainedModel,
    step: Step,
    blocks: Sequence[Block],
    reached: dict[str, bool],
    note: str,
) -> CompressionRecord:
    layers = {layer.name: layer.stored for layer in all_layers(blocks) if reached[layer.name]}
    total = sum(weight.numel() for weight in layers.values())
    kept = sum(int(weight.count_nonzero()) for weight in layers.values())
    missed = tuple((name, "no text reaches it") for name, seen in reached.items() if not seen)
    skipped = (*missed, *outside(model, blocks))
    record = record_of_rounding(model, step, note, changed=tuple(layers), skipped=skipped)
    return replace(record, sparsity=1 - kept / total if total else 0.0, activation_bits=BITS)

"""Sizes of the dense model's gradients, one block of activations at a time."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors.layerwise.layers import all_layers, is_conv1d, weight_of
from pytest_llmsafety.compressors.layerwise.walk import capture, evaluating, idle, placed
from pytest_llmsafety.errors import CalibrationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.base import Context
    from pytest_llmsafety.compressors.layerwise.layers import Block, Layer
    from pytest_llmsafety.compressors.layerwise.walk import Call


def gradient_sizes(
    model: PreTrainedModel,
    blocks: Sequence[Block],
    ids: torch.Tensor,
    context: Context,
    *,
    power: int,
) -> dict[str, torch.Tensor]:
    """Return the sum over sequences of |gradient|^power, [out, in] on the CPU, by layer name.

    The loss of a sequence (a row of `ids`) is its mean negative log-likelihood a token. The
    gradients of one block's weights are there at a time. A block that is moved to a device to
    compute keeps only its input, and runs once more on the way back. One that stays keeps what
    it needs for that. Raises CalibrationError for NaN or Inf.
    """
    import torch

    layers = all_layers(blocks)
    sums = {x.name: torch.zeros(x.weight.shape, dtype=x.working_dtype) for x in layers}
    with evaluating(model):
        with torch.no_grad():
            captured = capture(model, blocks, torch.split(ids, 1))
        with differentiable(layers):
            for number, hidden in enumerate(captured.hidden):
                context.progress("gradients", number, len(ids))
                passed, last = _forward(blocks, captured.calls, hidden, context.device)
                upstream = _gradient_of_the_end(model, blocks, ids[number : number + 1], last)
                for block, call in zip(reversed(blocks), reversed(captured.calls), strict=True):
                    with placed(block, context.device) as device:
                        upstream, found = _back(
                            block, call.to(device), passed.pop(), upstream.to(device)
                        )
                    for layer, gradient in zip(block.layers, found, strict=True):
                        size = _view(layer, gradient)
                        sums[layer.name] += (size.abs_() if power == 1 else size.pow_(power)).cpu()
    for name, total in sums.items():
        if not torch.isfinite(total).all():
            message = (
                f"the gradients of {name} are NaN or Inf, so nothing was changed. Expected finite "
                "ones; a wider dtype may help (--llmsafety-dtype bfloat16 or float32)."
            )
            raise CalibrationError(message)
    return sums


@contextmanager
def differentiable(layers: Sequence[Layer]) -> Iterator[list[torch.Tensor]]:
    """Let the layers' weights have gradients for a while, and yield these weights as stored."""
    weights = [weight_of(layer.module) for layer in layers]
    before = [weight.requires_grad for weight in weights]
    try:
        for weight in weights:
            weight.requires_grad_(True)  # noqa: FBT003 - torch's own parameter has no name
        yield weights
    finally:
        for weight, own in zip(weights, before, strict=True):
            weight.requires_grad_(own)


@dataclass(frozen=True)
class _Passed:
    """What entered a block, and what left it with all that leads back; None where it moved."""

    entered: torch.Tensor
    left: torch.Tensor | None = None


def _forward(
    blocks: Sequence[Block],
    calls: Sequence[Call],
    hidden: torch.Tensor,
    device: str | torch.device | None,
) -> tuple[list[_Passed], torch.Tensor]:
    import torch

    passed = []
    for block, call in zip(blocks, calls, strict=True):
        home = next(block.module.parameters()).device
        with placed(block, device) as place:
            stays = place == home
            entered = hidden.to(place).requires_grad_()
            with torch.set_grad_enabled(stays):
                left = call.to(place).run(block.module, entered)
        hidden = left.detach()
        if stays:
            passed.append(_Passed(entered, left))
        else:
            passed.append(_Passed(entered.detach().to("cpu")))
    return passed, hidden


def _gradient_of_the_end(
    model: PreTrainedModel, blocks: Sequence[Block], ids: torch.Tensor, last: torch.Tensor
) -> torch.Tensor:
    """Return the gradient of the loss for `last`, the last block's output.

    The model runs with idle blocks that hand that output on, so that what follows them (the
    last norm, the output embedding, any scaling of logits) is its own.
    """
    import torch

    leaf = last.to(model.device).requires_grad_()

    def hand_on(block: Block, states: torch.Tensor, _call: Call) -> torch.Tensor:
        return leaf if block is blocks[-1] else states

    with torch.enable_grad(), idle(blocks, hand_on):
        logits = model(input_ids=ids.to(model.device), use_cache=False).logits[0, :-1]
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
        loss = torch.nn.functional.cross_entropy(wide, ids[0, 1:].to(wide.device).long())
    return torch.autograd.grad(loss, leaf)[0]


def _back(
    block: Block, call: Call, passed: _Passed, upstream: torch.Tensor
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return the gradients for a block's input and for its layers' weights as they are stored."""
    import torch

    entered, left = passed.entered, passed.left
    if left is None:
        entered = entered.detach().to(upstream.device).requires_grad_()
        with torch.enable_grad():
            left = call.run(block.module, entered)
    weights = [weight_of(layer.module) for layer in block.layers]
    found: Any = torch.autograd.grad(left, [entered, *weights], upstream, materialize_grads=True)
    return found[0], list(found[1:])


def _view(layer: Layer, gradient: torch.Tensor) -> torch.Tensor:
    turned = gradient.T if is_conv1d(layer.module) else gradient
    return turned.to(layer.working_dtype)

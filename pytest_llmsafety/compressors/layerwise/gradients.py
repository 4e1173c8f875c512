"""Sizes of the dense model's gradients, one block of activations at a time."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors.layerwise.layers import all_layers, is_conv1d, weight_of
from pytest_llmsafety.compressors.layerwise.walk import capture, replaced_forward
from pytest_llmsafety.errors import CalibrationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
    """Sum over sequences of |gradient|^power, [out, in] on the CPU, by layer name.

    The loss of a sequence (a row of `ids`) is its mean negative log-likelihood a token. The
    gradients of one block's weights are there at a time. A block that is moved to a device to
    compute keeps only its input, and runs once more on the way back; one that stays keeps what
    it needs for it. Raises CalibrationError for NaN or Inf.
    """
    import torch

    layers = all_layers(blocks)
    sums = {x.name: torch.zeros(x.weight.shape, dtype=x.working_dtype) for x in layers}
    training = model.training
    model.train(mode=False)
    try:
        with torch.no_grad():
            captured = capture(model, blocks, list(torch.split(ids, 1)))
        with _differentiable(layers):
            for number, hidden in enumerate(captured.hidden):
                context.progress("gradients", number, len(ids))
                passed, last = _forward(blocks, captured.calls, hidden, context.device)
                upstream = _gradient_of_the_end(model, blocks, ids[number : number + 1], last)
                for block, call in zip(reversed(blocks), reversed(captured.calls), strict=True):
                    with _placed(block, context.device) as device:
                        upstream, found = _back(
                            block, call.to(device), passed.pop(), upstream.to(device)
                        )
                    for layer, gradient in zip(block.layers, found, strict=True):
                        size = _view(layer, gradient)
                        sums[layer.name] += (size.abs_() if power == 1 else size.pow_(power)).cpu()
    finally:
        model.train(training)
    for name, total in sums.items():
        if not torch.isfinite(total).all():
            message = (
                f"the gradients of {name} are NaN or Inf, so nothing was changed. Expected finite "
                "ones; a wider dtype may help (--llmsafety-dtype bfloat16 or float32)."
            )
            raise CalibrationError(message)
    return sums


@dataclass(frozen=True)
class Passed:
    """What entered a block, and what left it with all that leads back; None where it moved."""

    entered: torch.Tensor
    left: torch.Tensor | None = None


def _forward(
    blocks: Sequence[Block],
    calls: Sequence[Call],
    hidden: torch.Tensor,
    device: str | torch.device | None,
) -> tuple[list[Passed], torch.Tensor]:
    """How the hidden states pass the blocks, and the output of the last one."""
    import torch

    passed = []
    for block, call in zip(blocks, calls, strict=True):
        home = next(block.module.parameters()).device
        with _placed(block, device) as place:
            stays = place == home
            entered = hidden.to(place).requires_grad_()
            with torch.set_grad_enabled(stays):
                left = call.to(place).run(block.module, entered)
        hidden = left.detach()
        if stays:
            passed.append(Passed(entered, left))
        else:
            passed.append(Passed(entered.detach().to("cpu")))
    return passed, hidden


def _gradient_of_the_end(
    model: PreTrainedModel, blocks: Sequence[Block], ids: torch.Tensor, last: torch.Tensor
) -> torch.Tensor:
    """The gradient of the loss for `last`, the last block's output.

    The model runs with blocks that only hand that output on, so that what follows them (the
    last norm, the output embedding, any scaling of logits) is its own.
    """
    import torch

    leaf = last.to(model.device).requires_grad_()
    with torch.enable_grad(), _handing_on(blocks, leaf):
        logits = model(input_ids=ids.to(model.device), use_cache=False).logits[0, :-1]
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
        loss = torch.nn.functional.cross_entropy(wide, ids[0, 1:].to(wide.device).long())
    return torch.autograd.grad(loss, leaf)[0]


def _back(
    block: Block, call: Call, passed: Passed, upstream: torch.Tensor
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The gradients for a block's input and for its layers' weights as they are stored."""
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
    """A stored gradient as [out, in], wide enough to square."""
    turned = gradient.T if is_conv1d(layer.module) else gradient
    return turned.to(layer.working_dtype)


@contextmanager
def _placed(block: Block, device: str | torch.device | None) -> Iterator[torch.device]:
    """Have a block on `device` (None: where it is) for a while; that device."""
    import torch

    home = next(block.module.parameters()).device
    place = torch.device(device) if device else home
    if place == home:
        yield place
        return
    block.module.to(place)
    try:
        yield place
    finally:
        block.module.to(home)


@contextmanager
def _differentiable(layers: Sequence[Layer]) -> Iterator[None]:
    """Let the layers' weights have gradients for a while."""
    weights = [weight_of(layer.module) for layer in layers]
    before = [weight.requires_grad for weight in weights]
    for weight in weights:
        weight.requires_grad_(True)  # noqa: FBT003 - torch's own way
    try:
        yield
    finally:
        for weight, own in zip(weights, before, strict=True):
            weight.requires_grad_(own)


@contextmanager
def _handing_on(blocks: Sequence[Block], last: torch.Tensor) -> Iterator[None]:
    """Let each block hand on what it gets, and the last one `last`."""
    import torch

    shape: list[Any] = []  # the first block's real output shows whether blocks return tuples

    def idle(block: Block, real: Callable[..., Any]) -> Callable[..., Any]:
        def forward(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - any block's arguments
            if not shape:
                with torch.no_grad():
                    shape.append(real(*args, **kwargs))
            states = args[0] if args else kwargs["hidden_states"]
            states = last if block is blocks[-1] else states
            return (states, *shape[0][1:]) if isinstance(shape[0], tuple) else states

        return forward

    with replaced_forward(blocks, idle):
        yield

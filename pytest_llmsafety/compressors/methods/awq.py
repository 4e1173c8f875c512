"""`awq:4:g128`: scale up inputs that matter, then round (AWQ, Lin et al., 2024).

Each group of layers with one input gets scales s = a^r (a: mean |input|; equation 5). Of 20
values of r the one is chosen that changes the group's output least. Then the range of each group of
weights is searched for, too. The scales are folded into the norm or the layer before, so the model
stays plain. As in the authors' code the searches look at the dense model.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors import calibration
from pytest_llmsafety.compressors.base import Compressor
from pytest_llmsafety.compressors.layer_compressor import (
    Solved,
    allocated,
    apply,
    check_groups,
    record_of_layers,
)
from pytest_llmsafety.compressors.layerwise import allocation
from pytest_llmsafety.compressors.layerwise.allocation import ALLOC
from pytest_llmsafety.compressors.layerwise.folding import Fold, folds, restored
from pytest_llmsafety.compressors.layerwise.grid import find_grid, stored_bits
from pytest_llmsafety.compressors.layerwise.layers import (
    all_layers,
    check_finite,
    decoder_blocks,
    outside,
)
from pytest_llmsafety.compressors.layerwise.walk import Call, hidden_states, walk
from pytest_llmsafety.compressors.parameters import Parameters, Values, read
from pytest_llmsafety.compressors.record.file_sizes import dense_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.base import Context
    from pytest_llmsafety.compressors.layer_compressor import LayerChange
    from pytest_llmsafety.compressors.layerwise.layers import Block, Layer
    from pytest_llmsafety.compressors.layerwise.walk import Visit
    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.specs import Step

    Places: TypeAlias = tuple[list[Fold], list[Layer]]
    Cost: TypeAlias = Callable[[Sequence[torch.Tensor]], float]

TOKENS = 4096  # of one batch
UNCLIPPED = ("q_proj", "k_proj", "query", "key", "qkv", "c_attn")
GRID = 20  # steps of both searches, as in the paper's code
SMALLEST_LIMIT = 0.5  # share of the largest weight
SAMPLE = 512  # tokens, or a few more, that the limits are judged on


@dataclass(frozen=True)
class BlockPlan:
    """What one block gets: values by layer, scales by fold, and limits by layer.

    `limits` [out, groups] are the largest |weight| of each group.
    """

    block: Block
    values: Mapping[str, Values]
    scales: tuple[tuple[Fold, torch.Tensor], ...]
    limits: Mapping[str, torch.Tensor]
    unscaled: tuple[Layer, ...]

    def carry_out(self) -> list[LayerChange]:
        """Fold the scales, then round every layer."""
        for fold, scales in self.scales:
            fold.apply(scales)
        return [self._round(layer) for layer in self.block.layers]

    def _round(self, layer: Layer) -> LayerChange:
        values, weight = self.values[layer.name], layer.working_copy()
        limits = self.limits.get(layer.name)
        if limits is not None:
            groups = weight.view(*limits.shape, -1)
            most = limits.to(weight.device)[..., None]
            groups.copy_(groups.clamp(-most, most))
        round_in_groups(weight, values)
        stored = stored_bits(values.bits or 0, layer.inputs, values.group_size, symmetric=False)
        return apply(layer, Solved(weight, stored))


class Awq(Compressor):
    """Rounds with regard to activations: scales are folded away, and ranges are clipped."""

    weights_only = True
    parameters = Parameters(
        example="awq:4:g128",
        bits=(2, 8),
        group=True,
        flags=(("noclip", "leave the range of each group of weights as it is"),),
        keys=(ALLOC,),
        calibrated=True,
    )

    def check(self, step: Step) -> None:
        """Raise ConfigurationError when the step is not what `parameters` declares."""
        allocation.check(step, read(step, self.parameters), self.parameters)

    def compress(self, model: PreTrainedModel, step: Step, context: Context) -> CompressionRecord:
        """Search and round block by block, and return the record."""
        import torch

        values = read(step, self.parameters)
        blocks = decoder_blocks(model)
        check_finite(all_layers(blocks))
        check_groups(all_layers(blocks), values.group_size)
        before, amounts = dense_bytes(model), allocation.amounts(model, values, self.parameters)
        drawn = calibration.draw(model, context, values)
        found = places(model, blocks, drawn.ids[:1], context)
        visits = walk(
            model,
            blocks,
            drawn.ids,
            device=context.device,
            batch_size=batch_size(*drawn.ids.shape),
            progress=context.progress,
        )
        plans: list[BlockPlan] = []
        done: list[LayerChange] = []
        with torch.no_grad(), closing(visits):
            for visit in visits:  # a block is changed once it has fed the next one
                for plan in plans[-1:]:
                    done += plan.carry_out()
                own = {x.name: allocated(values, amounts.get(x.name)) for x in visit.layers}
                plans.append(planned(visit, own, found[visit.block.name]))
            done += plans[-1].carry_out()
        skipped = outside(model, blocks)
        record = record_of_layers(
            step, values, done, before=before, skipped=skipped, amounts=amounts
        )
        notes = (*record.notes, folded(plans))
        return replace(record, calibration=drawn.rows(), notes=notes)


def places(
    model: PreTrainedModel, blocks: Sequence[Block], ids: torch.Tensor, context: Context
) -> dict[str, Places]:
    """Return by block name where scales can be folded, tried on one sequence `ids` [1, tokens]."""
    import torch

    visits = walk(model, blocks, ids, device=context.device)
    with torch.no_grad(), closing(visits):
        return {visit.block.name: folds(visit) for visit in visits}


def planned(visit: Visit, values: Mapping[str, Values], found: Places) -> BlockPlan:
    """Search the scales of one block, then the limits under these scales, and return both.

    `values` are the step's values by layer name. Limits of queries and keys are left alone, because
    their product is what counts.
    """
    tokens = sum(batch.shape[0] * batch.shape[1] for batch in visit.hidden)
    folded, unscaled = found
    with watched(visit, folded) as targets:
        seen = visit.statistics(lambda layer: InputSample(layer, tokens))
    scales = [
        (fold, best_scales(fold, seen[fold.layers[0].name], values, target, visit.device))
        for fold, target in zip(folded, targets, strict=True)
    ]
    limits = {}
    for layer in visit.layers:
        clipped = not any(word in _last(layer) for word in UNCLIPPED)
        if "noclip" in values[layer.name].flags or layer.name not in seen or not clipped:
            continue
        weight, sample = layer.working_copy(), seen[layer.name].sample
        for fold, scale in scales:
            if layer in fold.layers:
                weight, sample = weight * scale, sample / scale
            elif layer == fold.layer:
                weight[-len(scale) :] /= scale[:, None]
        limits[layer.name] = best_limits(weight, sample, values[layer.name]).cpu()
    return BlockPlan(visit.block, values, tuple(scales), limits, tuple(unscaled))


def folded(plans: list[BlockPlan]) -> str:
    """Return what the record notes about the scales."""
    total = sum(len(plan.block.layers) for plan in plans)
    scaled = sum(len(fold.layers) for plan in plans for fold, _ in plan.scales)
    without = sorted({_last(layer) for plan in plans for layer in plan.unscaled})
    text = f"{scaled} of {total} layers are scaled, the scales folded into what comes before them"
    if without:
        text += f"; nothing before {', '.join(without)} can hold scales, so these are rounded as is"
    return text


def batch_size(sequences: int, length: int) -> int:
    """Return the largest divisor of `sequences` that keeps a batch within TOKENS, at least 1."""
    fit = [n for n in range(1, sequences + 1) if sequences % n == 0 and n * length <= TOKENS]
    return max(fit, default=1)


def _last(layer: Layer) -> str:
    return layer.name.rpartition(".")[2]


class InputSample:
    """The mean size of each input [in] of a layer, and some of its tokens at equal distances."""

    def __init__(self, layer: Layer, tokens: int) -> None:
        """Start empty; `tokens` is the number of tokens to come."""
        self.total = layer.weight.new_zeros(layer.inputs, dtype=layer.working_dtype)
        self.every = max(1, tokens // SAMPLE)
        self.tokens = 0
        self.kept: list[torch.Tensor] = []

    def add(self, inputs: torch.Tensor, sequences: int) -> None:  # noqa: ARG002 - tokens count
        """Add inputs [tokens, in]."""
        self.total += inputs.abs().sum(dim=0)
        self.kept.append(inputs[-self.tokens % self.every :: self.every].to(self.total.dtype))
        self.tokens += len(inputs)

    @property
    def mean_size(self) -> torch.Tensor:
        """Return the mean of |input| over the tokens."""
        return self.total / self.tokens

    @property
    def sample(self) -> torch.Tensor:
        """Return the tokens that were kept [tokens, in]."""
        import torch

        return torch.cat(self.kept)


@dataclass(frozen=True)
class Target:
    """A module whose output is to change as little as possible, and its calls, one a batch.

    The tensors of the calls are on the CPU.
    """

    module: torch.nn.Module
    calls: list[Call]

    def outputs(self, device: torch.device) -> Iterator[torch.Tensor]:
        """Yield what the module returns now, batch by batch."""
        for call in self.calls:
            here = call.to(device)
            yield hidden_states(self.module(*here.args, **here.kwargs))


def best_scales(
    fold: Fold,
    seen: InputSample,
    values: Mapping[str, Values],
    target: Target,
    device: torch.device,
) -> torch.Tensor:
    """Return those scales [in] of 20 that change the output of `target` least, when rounded.

    `sample` is that of the inputs of the fold's layers, `values` the step's values by layer name.
    """
    dense = [layer.working_copy() for layer in fold.layers]
    alone = len(dense) == 1 and seen.tokens > dense[0].shape[1]
    price = cost_of_one(dense[0], target, device) if alone else cost(fold, target, device)
    best, least = seen.mean_size, float("inf")
    for step in range(GRID):
        scales = seen.mean_size.pow(step / GRID).clamp(min=1e-4)
        scales = scales / (scales.max() * scales.min()).sqrt()
        loss = price(
            [
                round_in_groups(weight * scales, values[layer.name]).div_(scales)
                for layer, weight in zip(fold.layers, dense, strict=True)
            ]
        )
        if loss < least:
            best, least = scales, loss
    return best


def cost(fold: Fold, target: Target, device: torch.device) -> Cost:
    """Return a function of new weights: the sum of squared changes of the outputs of `target`."""
    expected = [output.to("cpu") for output in target.outputs(device)]

    def price(weights: Sequence[torch.Tensor]) -> float:
        with restored([layer.weight for layer in fold.layers]):
            for layer, weight in zip(fold.layers, weights, strict=True):
                layer.weight.copy_(weight)
            outputs = zip(target.outputs(device), expected, strict=True)
            return sum(float((a - e.to(device)).float().pow(2).sum()) for a, e in outputs)

    return price


def cost_of_one(dense: torch.Tensor, target: Target, device: torch.device) -> Cost:
    """Return the same function for a single layer [out, in].

    It uses the products of the layer's inputs: far less work than to run the layer.
    """
    second = dense.new_zeros(dense.shape[1], dense.shape[1])
    for call in target.calls:
        inputs = call.args[0].to(device).to(dense.dtype).flatten(0, -2)
        second.addmm_(inputs.T, inputs)

    def price(weights: Sequence[torch.Tensor]) -> float:
        off = weights[0] - dense
        return float(((off @ second) * off).sum())

    return price


def best_limits(weight: torch.Tensor, sample: torch.Tensor, values: Values) -> torch.Tensor:
    """Return for each group of weights the largest |weight| [out, groups] that costs least.

    Tried are 1, 0.95, ... 0.55 of what the group has. The cost is the mean square, over the
    tokens of `sample` [tokens, in], of what rounding adds to the group's output.
    """
    import torch

    size = values.group_size or weight.shape[1]
    groups = weight.view(weight.shape[0], -1, size)
    tokens = sample.view(len(sample), -1, size).transpose(0, 1)
    second = tokens.transpose(1, 2) @ tokens / len(sample)  # [groups, size, size]
    largest = groups.abs().amax(dim=2)
    best, least = largest.clone(), torch.full_like(largest, torch.inf)
    for step in range(int(SMALLEST_LIMIT * GRID)):
        limit = largest * (1 - step / GRID)
        rounded = groups.clamp(-limit[..., None], limit[..., None]).reshape(weight.shape)
        off = (round_in_groups(rounded, values).view_as(groups) - groups).transpose(0, 1)
        cost = ((off @ second) * off).sum(dim=2).T
        better = cost < least
        best, least = torch.where(better, limit, best), torch.where(better, cost, least)
    return best


def round_in_groups(weight: torch.Tensor, values: Values) -> torch.Tensor:
    """Round `weight` [out, in] in place, each group of inputs on its own min/max grid."""
    size = values.group_size or weight.shape[1]
    rows = weight.view(-1, size)
    rows.copy_(find_grid(rows, values.bits or 0).rounded(rows))
    return weight


@contextmanager
def watched(visit: Visit, folds: Sequence[Fold]) -> Iterator[list[Target]]:
    """Collect in a `with` how the block calls the smallest module that has all layers of each fold.

    That is the attention for queries, keys and values, the MLP for gate and up, a single layer
    by itself.
    """
    import torch

    found = [Target(_smallest_module(visit, fold.layers), []) for fold in folds]
    fixed = {id(part) for part in (*visit.call.args, *visit.call.kwargs.values())}

    def off(value: Any) -> Any:  # noqa: ANN401 - any argument
        moves = isinstance(value, torch.Tensor) and id(value) not in fixed
        return value.to("cpu") if moves else value

    def hook(calls: list[Call]) -> Callable[..., None]:
        def note(_module: object, args: Any, kwargs: Any) -> None:  # noqa: ANN401
            named = {name: off(value) for name, value in kwargs.items()}
            calls.append(Call(tuple(map(off, args)), named))

        return note

    handles = [
        one.module.register_forward_pre_hook(hook(one.calls), with_kwargs=True) for one in found
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _smallest_module(visit: Visit, layers: Sequence[Layer]) -> torch.nn.Module:
    start = len(visit.block.name) + 1
    parts = [layer.name[start:].split(".") for layer in layers]
    shared = []
    for column in zip(*parts, strict=False):
        if len(set(column)) > 1:
            break
        shared.append(column[0])
    return visit.block.module.get_submodule(".".join(shared))

"""LayerCompressor: what every method extends that gives each layer a new weight."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors import calibration
from pytest_llmsafety.compressors.base import Compressor
from pytest_llmsafety.compressors.layerwise import allocation
from pytest_llmsafety.compressors.layerwise.layers import (
    all_layers,
    check_finite,
    decoder_blocks,
    outside,
)
from pytest_llmsafety.compressors.layerwise.walk import walk
from pytest_llmsafety.compressors.parameters import Values, read
from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.compressors.record.file_sizes import dense_bytes
from pytest_llmsafety.errors import GroupSizeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.base import Context
    from pytest_llmsafety.compressors.layerwise.layers import Block, Layer
    from pytest_llmsafety.compressors.layerwise.walk import Statistics
    from pytest_llmsafety.specs import Step

UNREACHED = "its inputs could not be watched: no calibration text reaches it as a layer"
AT_ONCE = 2**18  # weights, where rows or groups are independent: as many as stay in a cache


@dataclass(frozen=True)
class Solved:
    """A layer's new weight [out, in].

    `bits` are stored per weight, scales and zero points included (None: stored dense). `notes`
    are sentences for the record.
    """

    weight: torch.Tensor
    bits: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LayerChange:
    """One layer after its compression: stored bits per weight, number of zeros, notes."""

    layer: Layer
    changed: bool
    bits: float
    zeros: int
    notes: tuple[str, ...]

    @property
    def weights(self) -> int:
        """Return the number of weights."""
        return self.layer.stored.numel()

    @classmethod
    def of(
        cls, layer: Layer, *, changed: bool, bits: float | None = None, notes: tuple[str, ...] = ()
    ) -> LayerChange:
        """Count the zeros of a layer that has its new weight; `bits` None means stored dense."""
        weight = layer.stored
        zeros = weight.numel() - int(weight.count_nonzero())
        dense = 8.0 * weight.element_size()
        return cls(layer, changed, dense if bits is None else bits, zeros, notes)


class LayerCompressor(Compressor):
    """A method that gives each layer of the decoder blocks a new weight.

    A subclass declares `parameters` and defines `solve`, and `statistics` where
    `parameters.calibrated` is set. This class does the checks, the walk and the record.
    """

    weights_only = True

    def statistics(self, layer: Layer) -> Statistics:
        """Return a new, empty collector for the inputs of `layer`."""
        raise NotImplementedError

    def solve(self, weight: torch.Tensor, statistics: Any, values: Values) -> Solved:  # noqa: ANN401
        """Return the new weight of one layer.

        `weight` [out, in] is a copy to work in, at least float32. `statistics` is what
        `statistics()` made, None for a method without calibration. Layers may share it: do not
        change it. `values` are the step's parameters, with the layer's own amount where there is
        an allocation.
        """
        raise NotImplementedError

    def check(self, step: Step) -> None:
        """Raise ConfigurationError when the step is not what `parameters` declares."""
        allocation.check(step, read(step, self.parameters), self.parameters)

    def allocation(self, model: PreTrainedModel, values: Values) -> Mapping[str, float]:
        """Return by name of layer or block the sparsity (or bits) that differs from the step's."""
        return allocation.amounts(model, values, self.parameters)

    def prepare(
        self,
        model: PreTrainedModel,
        blocks: Sequence[Block],
        ids: torch.Tensor,
        *,
        values: Values,
        context: Context,
    ) -> None:
        """Look at the calibration sequences `ids` before any block is changed.

        Called for calibrated methods only.
        """

    def statistics_of(self, layer: Layer, statistics: Any) -> Any:  # noqa: ANN401, ARG002
        """Return what `solve` gets as statistics; an override can add to it."""
        return statistics

    def compress(self, model: PreTrainedModel, step: Step, context: Context) -> CompressionRecord:
        """Give every layer its new weight, block by block, and return the record."""
        import torch

        values = read(step, self.parameters)
        blocks = decoder_blocks(model, experts=not self.parameters.calibrated)
        layers = all_layers(blocks)
        check_finite(layers)
        check_groups(layers, values.group_size)
        before, amounts = dense_bytes(model), self.allocation(model, values)
        done: list[LayerChange] = []
        if not self.parameters.calibrated:
            with torch.no_grad():
                for block in blocks:
                    context.progress(block.name, block.index, len(blocks))
                    done += self._solve_block(block, None, values, amounts)
            skipped = outside(model, blocks)
            return record_of_layers(
                step, values, done, before=before, skipped=skipped, amounts=amounts
            )
        drawn = calibration.draw(model, context, values)
        self.prepare(model, blocks, drawn.ids, values=values, context=context)
        visits = walk(model, blocks, drawn.ids, device=context.device, progress=context.progress)
        with torch.no_grad(), closing(visits):
            for visit in visits:
                found = visit.statistics(self.statistics)
                done += self._solve_block(visit.block, found, values, amounts)
        names = {one.layer.name for one in done}
        missed = tuple((one.name, UNREACHED) for one in layers if one.name not in names)
        skipped = (*missed, *outside(model, blocks))
        record = record_of_layers(
            step, values, done, before=before, skipped=skipped, amounts=amounts
        )
        return replace(record, calibration=drawn.rows())

    def _solve_block(
        self,
        block: Block,
        found: Mapping[str, Any] | None,
        values: Values,
        amounts: Mapping[str, float],
    ) -> list[LayerChange]:
        """Solve the layers of one block; a layer that no token reaches stays as it is."""
        done = []
        for layer in block.layers:
            if found is not None and layer.name not in found:
                continue
            own = allocated(values, amounts.get(layer.name, amounts.get(block.name)))
            statistics = self.statistics_of(layer, None if found is None else found[layer.name])
            done.append(apply(layer, self.solve(layer.working_copy(), statistics, own)))
        return done


def apply(layer: Layer, solved: Solved) -> LayerChange:
    """Write a solved weight into its layer, and return the change."""
    changed = layer.write(solved.weight)
    return LayerChange.of(layer, changed=changed, bits=solved.bits, notes=solved.notes)


def allocated(values: Values, amount: float | None) -> Values:
    """Return the step's values with one layer's own amount as its bits, or else its sparsity."""
    if amount is None:
        return values
    return replace(values, bits=int(amount)) if values.bits else replace(values, sparsity=amount)


def record_of_layers(
    step: Step,
    values: Values,
    done: Sequence[LayerChange],
    *,
    before: int,
    skipped: tuple[tuple[str, str], ...],
    amounts: Mapping[str, float] | None = None,
) -> CompressionRecord:
    """Return the record of one step; `before` is the size of the model in bytes before it.

    `skipped` holds (layer, reason). `amounts` are sparsities or bits by layer, where the step
    allocates them.
    """
    shared = allocation.note([one.layer for one in done], values, amounts or {})
    total = sum(one.weights for one in done) or 1
    saved = sum((8 * d.layer.stored.element_size() - d.bits) * d.weights for d in done)
    by_name: dict[str, list[LayerChange]] = {}
    for one in done:  # all experts of a stack are one row
        by_name.setdefault(one.layer.name, []).append(one)
    changed = [name for name, parts in by_name.items() if any(one.changed for one in parts)]
    same = tuple((name, "the same values as before") for name in by_name if name not in changed)
    return CompressionRecord(
        method=str(step),
        parameters=values.rows(),
        layers_changed=tuple(changed),
        layers_skipped=(*same, *skipped),
        bits=sum(one.bits * one.weights for one in done) / total,
        sparsity=sum(one.zeros for one in done) / total,
        bytes_before=before,
        bytes_after=before - round(saved / 8),
        notes=(*shared, *dict.fromkeys(note for one in done for note in one.notes)),
        layers=tuple((name, *_mean(parts)) for name, parts in by_name.items()),
    )


def _mean(parts: Sequence[LayerChange]) -> tuple[float, float]:
    weights = sum(one.weights for one in parts)
    bits = sum(one.bits * one.weights for one in parts) / weights
    return bits, sum(one.zeros for one in parts) / weights


def check_groups(layers: Sequence[Layer], group_size: int | None) -> None:
    """Raise GroupSizeError that names a layer whose inputs the group size does not divide."""
    odd = [layer for layer in layers if group_size and layer.inputs % group_size]
    if odd:
        widths = {layer.inputs for layer in layers}
        fit = [
            f"g{size}" for size in (256, 128, 64, 32, 16, 8) if not any(w % size for w in widths)
        ]
        message = (
            f"the group size {group_size} does not divide the {odd[0].inputs} inputs of "
            f"{odd[0].name} ({len(odd)} of {len(layers)} layers), so nothing was changed. "
            f"Expected one that divides {', '.join(map(str, sorted(widths)))}, such as "
            f"{' or '.join(fit[:2]) or 'none at all'}, or no group size: one scale a row."
        )
        raise GroupSizeError(message)

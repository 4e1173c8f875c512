"""`gptq:4:g128`: round, and let later weights make up for the error (Frantar et al., 2023)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_llmsafety.compressors.layer_compressor import LayerCompressor, Solved
from pytest_llmsafety.compressors.layerwise.allocation import ALLOC
from pytest_llmsafety.compressors.layerwise.compensation import Hessian, sweep
from pytest_llmsafety.compressors.layerwise.grid import find_grid, stored_bits
from pytest_llmsafety.compressors.parameters import Key, Parameters, read
from pytest_llmsafety.errors import ConfigurationError

if TYPE_CHECKING:
    import torch

    from pytest_llmsafety.compressors.layerwise.compensation import Factor
    from pytest_llmsafety.compressors.layerwise.grid import Grid
    from pytest_llmsafety.compressors.layerwise.layers import Layer
    from pytest_llmsafety.compressors.parameters import Values
    from pytest_llmsafety.specs import Step

DAMP, BLOCK, STEP = 0.01, 128, 16


class Gptq(LayerCompressor):
    """Rounds input after input on a min/max grid, one for each output channel or group."""

    parameters = Parameters(
        example="gptq:4:g128:actorder",
        bits=(2, 8),
        group=True,
        flags=(
            ("actorder", "inputs in the order of their size in the calibration, largest first"),
            ("static", "the grids of all groups from the weights before any is rounded"),
            ("sym", "grids that are symmetric about 0"),
        ),
        keys=(
            ALLOC,
            Key("damp", f"share of the Hessian's mean diagonal added to it ({DAMP})"),
            Key("block", f"inputs after which all later weights are updated ({BLOCK})", "whole", 1),
        ),
        calibrated=True,
    )

    def check(self, step: Step) -> None:
        """Raise ConfigurationError for undeclared parameters, and for `static` without groups."""
        values = read(step, self.parameters)
        if "static" in values.flags and not values.group_size:
            message = (
                f"'{step}': static is about the grids of groups, and no group size was given (the "
                "grid of a whole channel is always found first). Give a group size too: "
                f"{step}:g128."
            )
            raise ConfigurationError(message)

    def statistics(self, layer: Layer) -> Hessian:
        """Return a collector of the Hessian."""
        return Hessian(layer)

    def solve(self, weight: torch.Tensor, statistics: Hessian, values: Values) -> Solved:
        """Round from the first input, or from the largest, to the last."""
        factor = statistics.factor(values.number("damp", DAMP), by_size="actorder" in values.flags)
        columns = factor.arranged(weight)
        choice = GridChoice(weight, columns, factor, values)
        sweep(columns, factor, choice, block=int(values.number("block", BLOCK)))
        bits = bits_of(weight.shape[0], weight.shape[1], values)
        return Solved(factor.restored(columns), bits, statistics.notes(factor))


class GridChoice:
    """Rounds the weights of each input to the grid of its group.

    A group's grid is found when its first input is reached, from weights that make up for
    finished blocks only; with `static` all are found before. The grid of a whole channel is
    that of the weights as they were, those of dead inputs included.
    """

    def __init__(
        self, weight: torch.Tensor, columns: torch.Tensor, factor: Factor, values: Values
    ) -> None:
        """Look at the weight [out, in] before the sweep over its `columns`."""
        import torch

        assert values.bits is not None  # noqa: S101 - narrows a type
        self.step, self.columns = STEP, columns
        self.bits, self.size = values.bits, values.group_size
        self.symmetric = "sym" in values.flags
        self.places: list[int] | None = None  # of the inputs, before they were ordered
        self.grids: list[Grid] = []
        if not self.size:
            self.grids, self.size = [self._grid(weight)], weight.shape[1]
        elif "static" in values.flags:
            alive = weight.masked_fill(factor.dead, 0)
            self.grids = [self._grid(group) for group in torch.split(alive, self.size, dim=1)]
            self.places = None if factor.order is None else factor.order.tolist()

    def block(self, weights: torch.Tensor, start: int) -> None:
        """Do nothing: nothing is decided for a block."""

    def inputs(self, weights: torch.Tensor, start: int) -> None:
        """Do nothing: nothing is decided for several inputs."""

    def value(self, weight: torch.Tensor, index: int) -> torch.Tensor:
        """Return the nearest value on the grid of the input's group."""
        assert self.size is not None  # noqa: S101 - narrows a type
        group = (self.places[index] if self.places else index) // self.size
        if group == len(self.grids):
            self.grids.append(self._grid(self.columns[index : index + self.size].T))
        return self.grids[group].rounded(weight)

    def _grid(self, group: torch.Tensor) -> Grid:
        found = find_grid(group, self.bits, symmetric=self.symmetric)
        return replace(found, scale=found.scale[:, 0], zero=found.zero[:, 0])


def bits_of(outputs: int, inputs: int, values: Values) -> float:
    """Return the stored bits per weight.

    Groups of reordered inputs also store 32 bits for each input.
    """
    assert values.bits is not None  # noqa: S101 - narrows a type
    symmetric = "sym" in values.flags
    scattered = values.group_size and values.flags >= {"actorder"} and "static" not in values.flags
    bits = stored_bits(values.bits, inputs, values.group_size, symmetric=symmetric)
    return bits + (32 / outputs if scattered else 0)

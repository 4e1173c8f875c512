"""`sparsegpt:0.5`: prune, and let later weights make up for it (Frantar and Alistarh, 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmsafety.compressors.layer_compressor import LayerCompressor, Solved
from pytest_llmsafety.compressors.layerwise.allocation import ALLOC, ALPHA, EPSILON
from pytest_llmsafety.compressors.layerwise.compensation import Hessian, sweep
from pytest_llmsafety.compressors.layerwise.masks import lowest_of_all, lowest_of_groups
from pytest_llmsafety.compressors.parameters import Key, Parameters

if TYPE_CHECKING:
    import torch

    from pytest_llmsafety.compressors.layerwise.compensation import Factor
    from pytest_llmsafety.compressors.layerwise.layers import Layer
    from pytest_llmsafety.compressors.parameters import Values

DAMP, BLOCK, STEP = 0.01, 128, 16


class SparseGpt(LayerCompressor):
    """Prunes a share of every block of inputs, or N of every M, by the error that is left."""

    parameters = Parameters(
        example="sparsegpt:2:4",
        sparsity=True,
        pattern=True,
        flags=(ALPHA,),
        keys=(
            EPSILON,
            ALLOC,
            Key("damp", f"share of the Hessian's mean diagonal added to it ({DAMP})"),
            Key("block", f"inputs that share one threshold ({BLOCK})", "whole", low=1),
        ),
        calibrated=True,
    )

    def statistics(self, layer: Layer) -> Hessian:
        """Return a collector of the Hessian."""
        return Hessian(layer)

    def solve(self, weight: torch.Tensor, statistics: Hessian, values: Values) -> Solved:
        """Prune from the first input to the last."""
        factor = statistics.factor(values.number("damp", DAMP))
        columns = factor.arranged(weight)
        sweep(
            columns, factor, PruningChoice(factor, values), block=int(values.number("block", BLOCK))
        )
        return Solved(factor.restored(columns), notes=statistics.notes(factor))


class PruningChoice:
    """Chooses the weights to prune by the squared error that is left once others make up for it.

    A share is chosen in a whole block, over all outputs. N:M is chosen in turn, among weights that
    make up for all that went before.
    """

    def __init__(self, factor: Factor, values: Values) -> None:
        """Start with the factor, and with a sparsity or N:M in `values`."""
        self.spread = factor.spread[:, None]
        self.share, self.pattern = values.sparsity or 0.0, values.pattern
        self.step = values.pattern[1] if values.pattern else STEP
        self.start = 0
        self.gone = factor.dead

    def block(self, weights: torch.Tensor, start: int) -> None:
        """Choose the share of a block."""
        if not self.pattern:
            self.start, self.gone = start, lowest_of_all(self._scores(weights, start), self.share)

    def inputs(self, weights: torch.Tensor, start: int) -> None:
        """Choose N of the next M."""
        if self.pattern:
            scores = self._scores(weights, start).T
            self.start, self.gone = start, lowest_of_groups(scores, *self.pattern).T

    def value(self, weight: torch.Tensor, index: int) -> torch.Tensor:
        """Return zero where the weight goes."""
        return weight.masked_fill(self.gone[index - self.start], 0)

    def _scores(self, weights: torch.Tensor, start: int) -> torch.Tensor:
        """Return the error that each weight [n, out] would leave behind as zero."""
        return (weights / self.spread[start : start + len(weights)]) ** 2

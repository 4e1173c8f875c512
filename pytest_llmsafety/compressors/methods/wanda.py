"""`wanda:0.5`: prune by weight times the norm of its input (Sun et al., 2024, equation 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmsafety.compressors.layer_compressor import AT_ONCE, LayerCompressor, Solved
from pytest_llmsafety.compressors.layerwise.allocation import ALLOC, ALPHA, EPSILON
from pytest_llmsafety.compressors.layerwise.masks import pruned
from pytest_llmsafety.compressors.parameters import Parameters

if TYPE_CHECKING:
    import torch

    from pytest_llmsafety.compressors.layerwise.layers import Layer
    from pytest_llmsafety.compressors.parameters import Values


class InputNorms:
    """Collects for each input [in] the mean over sequences of the sum over tokens of x^2."""

    def __init__(self, layer: Layer) -> None:
        """Start at zero, where the layer's weight is."""
        weight = layer.weight
        self.squares = weight.new_zeros(layer.inputs, dtype=layer.working_dtype)
        self.sequences = 0

    def add(self, inputs: torch.Tensor, sequences: int) -> None:
        """Add inputs [tokens, in] of some sequences."""
        total = self.sequences + sequences
        self.squares *= self.sequences / total
        self.squares += inputs.to(self.squares.dtype).norm(dim=0) ** 2 / total
        self.sequences = total


class Wanda(LayerCompressor):
    """Prunes by |weight| times input norm, within each row, or N of every M inputs."""

    parameters = Parameters(
        example="wanda:2:4",
        sparsity=True,
        pattern=True,
        flags=(ALPHA,),
        keys=(EPSILON, ALLOC),
        calibrated=True,
    )

    def statistics(self, layer: Layer) -> InputNorms:
        """Return a collector of input norms."""
        return InputNorms(layer)

    def solve(self, weight: torch.Tensor, statistics: InputNorms, values: Values) -> Solved:
        """Set the weights of the lowest scores to zero."""
        import torch

        norms = statistics.squares.sqrt()
        for part in torch.split(weight, max(1, AT_ONCE // weight.shape[1])):
            part.masked_fill_(pruned(part.abs().mul_(norms), values), 0)
        return Solved(weight)

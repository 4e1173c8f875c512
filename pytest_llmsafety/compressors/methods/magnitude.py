"""`magnitude:0.5`: set the weights nearest to zero to zero, without looking at data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors.layer_compressor import AT_ONCE, LayerCompressor, Solved
from pytest_llmsafety.compressors.layerwise.allocation import ALLOC, ALPHA, EPSILON
from pytest_llmsafety.compressors.layerwise.masks import pruned
from pytest_llmsafety.compressors.parameters import Parameters

if TYPE_CHECKING:
    import torch

    from pytest_llmsafety.compressors.parameters import Values


class Magnitude(LayerCompressor):
    """Prunes by absolute value: by row, by layer (`layer`), or N of every M inputs."""

    parameters = Parameters(
        example="magnitude:0.5:layer",
        sparsity=True,
        pattern=True,
        flags=(
            ("layer", "one threshold for the whole layer instead of one share for each row"),
            ALPHA,
        ),
        keys=(EPSILON, ALLOC),
    )

    def solve(self, weight: torch.Tensor, statistics: Any, values: Values) -> Solved:  # noqa: ANN401, ARG002
        """Set the smallest weights to zero."""
        import torch

        rows = weight.shape[0] if "layer" in values.flags else AT_ONCE // weight.shape[1]
        for part in torch.split(weight, max(1, rows)):
            part.masked_fill_(pruned(part.abs(), values), 0)
        return Solved(weight)

"""`rtn:4:g128`: round each weight to the nearest value of a min/max grid, without data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors.layer_compressor import AT_ONCE, LayerCompressor, Solved
from pytest_llmsafety.compressors.layerwise.allocation import ALLOC
from pytest_llmsafety.compressors.layerwise.grid import find_grid, stored_bits
from pytest_llmsafety.compressors.parameters import Parameters

if TYPE_CHECKING:
    import torch

    from pytest_llmsafety.compressors.parameters import Values


class RoundToNearest(LayerCompressor):
    """Rounds to nearest, on one grid per output channel or per group of inputs (`g128`)."""

    parameters = Parameters(
        example="rtn:4:g128",
        bits=(2, 8),
        group=True,
        flags=(("sym", "a grid that is symmetric about 0"),),
        keys=(ALLOC,),
    )

    def solve(self, weight: torch.Tensor, statistics: Any, values: Values) -> Solved:  # noqa: ANN401, ARG002
        """Round every group of inputs on its own grid."""
        import torch

        assert values.bits is not None  # noqa: S101 - narrows a type
        symmetric = "sym" in values.flags
        inputs = weight.shape[1]
        size = values.group_size or inputs
        for groups in torch.split(weight.view(-1, size), max(1, AT_ONCE // size)):
            groups.copy_(find_grid(groups, values.bits, symmetric=symmetric).rounded(groups))
        bits = stored_bits(values.bits, inputs, values.group_size, symmetric=symmetric)
        return Solved(weight, bits)

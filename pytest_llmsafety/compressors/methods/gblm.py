"""`gblm:0.5`: prune by weight times input norm and gradient (Das et al., 2023, GBLM-Pruner)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmsafety.compressors.layer_compressor import LayerCompressor, Solved
from pytest_llmsafety.compressors.layerwise.allocation import ALLOC, ALPHA, EPSILON
from pytest_llmsafety.compressors.layerwise.gradients import gradient_sizes
from pytest_llmsafety.compressors.layerwise.masks import pruned
from pytest_llmsafety.compressors.methods.wanda import InputNorms
from pytest_llmsafety.compressors.parameters import Key, Parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.base import Context
    from pytest_llmsafety.compressors.layerwise.layers import Block, Layer
    from pytest_llmsafety.compressors.parameters import Values

SCALE = 100


class Gblm(LayerCompressor):
    """Prunes by |weight| * (input norm + scale * size of the gradient), row by row or N:M.

    The gradients are those of the dense model. Their size is the sum of |gradient| over the
    sequences, or (`l2`) the root of the sum of squares. Input norms are a mean over sequences,
    as in Wanda, and the sizes a sum, as in the authors' code: more sequences give the gradient
    more weight.
    """

    parameters = Parameters(
        example="gblm:0.5:l2",
        sparsity=True,
        pattern=True,
        flags=(("l2", "root of the sum of squared gradients instead of their sum"), ALPHA),
        keys=(Key("scale", f"how much the gradient counts ({SCALE})"), EPSILON, ALLOC),
        calibrated=True,
    )

    def prepare(
        self,
        model: PreTrainedModel,
        blocks: Sequence[Block],
        ids: torch.Tensor,
        *,
        values: Values,
        context: Context,
    ) -> None:
        """Find the gradients of the dense model."""
        power = 2 if "l2" in values.flags else 1
        sums = gradient_sizes(model, blocks, ids, context, power=power)
        scale = values.number("scale", SCALE)
        self.sizes = {name: scale * total.pow(1 / power) for name, total in sums.items()}

    def statistics(self, layer: Layer) -> InputNorms:
        """Return a collector of input norms."""
        return InputNorms(layer)

    def statistics_of(self, layer: Layer, statistics: InputNorms) -> torch.Tensor:
        """Return what each |weight| is multiplied with."""
        sizes = self.sizes.pop(layer.name)
        return statistics.squares.sqrt() + sizes.to(statistics.squares.device)

    def solve(self, weight: torch.Tensor, statistics: torch.Tensor, values: Values) -> Solved:
        """Set the weights of the lowest scores to zero."""
        return Solved(weight.masked_fill_(pruned(weight.abs() * statistics, values), 0))

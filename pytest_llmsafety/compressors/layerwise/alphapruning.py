"""AlphaPruning: a block whose weights have heavier tails keeps more of them.

Lu et al., 2024, "AlphaPruning: Using heavy-tailed self regularization theory for improved
layer-wise pruning of large language models". The exponent alpha of a power law is fitted to
the squared singular values of each layer; a block's mean alpha is mapped linearly to its
share. Which values the fit may start at follows the authors' code (see `exponent`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_llmsafety.errors import AllocationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from pytest_llmsafety.compressors.layerwise.layers import Block, Layer

BINS = 100


def sparsities(blocks: Sequence[Block], sparsity: float, spread: float) -> dict[str, float]:
    """Return the sparsity of each block by name; their mean over all weights is `sparsity`.

    Raises AllocationError when a block would get 1 or more.
    """
    alphas = [sum(map(alpha_of, block.layers)) / len(block.layers) for block in blocks]
    sizes = [sum(layer.outputs * layer.inputs for layer in block.layers) for block in blocks]
    shares = mapped(alphas, sizes, sparsity, spread)
    worst = max(range(len(shares)), key=shares.__getitem__)
    if shares[worst] >= 1:
        message = (
            f"alpha would give {blocks[worst].name} the sparsity {shares[worst]:.3f}. Expected "
            f"less than 1: give a lower sparsity than {sparsity:g}, or epsilon= below {spread:g}."
        )
        raise AllocationError(message)
    return {block.name: share for block, share in zip(blocks, shares, strict=True)}


def mapped(
    alphas: Sequence[float], sizes: Sequence[int], sparsity: float, spread: float
) -> list[float]:
    """Return shares that grow linearly with alpha from (1 - spread) to (1 + spread) of a level.

    The level is such that the mean share, each counted `size` times, is `sparsity`.
    """
    low, high = min(alphas), max(alphas)
    width = high - low or 1.0
    raw = [1 - spread + 2 * spread * (alpha - low) / width for alpha in alphas]
    level = sparsity * sum(sizes) / sum(r * size for r, size in zip(raw, sizes, strict=True))
    return [level * r for r in raw]


def alpha_of(layer: Layer) -> float:
    """Return the exponent of one layer. Raises AllocationError for a layer that has none."""
    import torch

    weight = layer.weight.to(layer.working_dtype)
    values = torch.linalg.svdvals(weight).square().cpu().sort().values
    values = values[values > 0]
    if len(values) < 2:  # noqa: PLR2004 - a line through one point
        message = (
            f"{layer.name} has rank {len(values)}, so alpha has no spectrum to look at. "
            "Expected dense weights: leave alpha out, or give alloc=FILE."
        )
        raise AllocationError(message)
    return exponent(values)


def exponent(values: torch.Tensor) -> float:
    """Return the exponent of the power law that fits the upper part of ascending `values` best.

    The tail may start near the peak of the histogram (of log10, 100 bins). For each start alpha is
    the maximum-likelihood (Hill) estimate. The start with the least Kolmogorov-Smirnov distance
    wins. The authors' code bounds the start by log10(0.95 peak) from below, where one would expect
    0.95 peak. Both are rarely far apart, and this does as the code does.
    """
    import torch

    logs, tens, count = values.log(), values.log10(), len(values)
    bins = torch.histc(tens, BINS, min=float(tens[0]), max=float(tens[-1]))
    edges = torch.linspace(float(tens[0]), float(tens[-1]), BINS + 1, dtype=values.dtype)
    peak = 10 ** edges[bins.argmax()]
    lowest, highest = float(torch.log10(0.95 * peak)), float(1.5 * peak)
    best, least = 0.0, 1.0
    for index, start in enumerate(values[:-1].tolist()):
        if not lowest <= start <= highest:
            continue
        left = count - index
        alpha = 1 + left / (logs[index:].sum() - left * logs[index])
        if not alpha > 1:
            continue
        fitted = 1 - (values[index:] / values[index]) ** (1 - alpha)
        distance = float((fitted - torch.arange(left) / left).abs().max())
        if distance < least:
            best, least = float(alpha), distance
    return best

"""The min/max grid that rounding methods share, one for each row or each group of inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Grid:
    """Scale and zero point of 2^bits steps: value = scale * (code - zero).

    Both are [rows, 1], for weights [rows, n]; as [rows] they serve one weight a row.
    """

    scale: torch.Tensor
    zero: torch.Tensor
    bits: int

    def codes(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the code of each weight [rows, n]: a whole number below 2^bits, as a float."""
        return (weight / self.scale).round_().add_(self.zero).clamp_(0, 2**self.bits - 1)

    def values(self, codes: torch.Tensor) -> torch.Tensor:
        """Return what codes [rows, n] stand for."""
        return self.scale * (codes - self.zero)

    def rounded(self, weight: torch.Tensor) -> torch.Tensor:
        """Return each weight [rows, n] as its nearest value on the grid."""
        return self.codes(weight).sub_(self.zero).mul_(self.scale)


def find_grid(weight: torch.Tensor, bits: int, *, symmetric: bool = False) -> Grid:
    """Return the grid of each row of `weight` [rows, n], between its extremes and with 0 on it.

    A symmetric grid reaches as far below 0 as above (for rows with negative values), with its
    zero point in the middle. A row of zeros gets the range -1..1. This is GPTQ's quantizer
    (Frantar et al. 2023, without the search for a smaller range).
    """
    import torch

    low = weight.amin(dim=1, keepdim=True).clamp(max=0)
    high = weight.amax(dim=1, keepdim=True).clamp(min=0)
    if symmetric:
        high = torch.maximum(low.abs(), high)
        low = torch.where(low < 0, -high, low)
    empty = (low == 0) & (high == 0)
    low, high = torch.where(empty, -1, low), torch.where(empty, 1, high)
    scale = (high - low) / (2**bits - 1)
    middle = torch.full_like(scale, 2.0 ** (bits - 1))
    return Grid(scale, middle if symmetric else torch.round(-low / scale), bits)


def stored_bits(bits: int, inputs: int, group_size: int | None, *, symmetric: bool) -> float:
    """Return the bits per weight: the code, and its share of a 16-bit scale and of a zero point."""
    import math

    groups = math.ceil(inputs / group_size) if group_size else 1
    return bits + (16 + (0 if symmetric else bits)) * groups / inputs

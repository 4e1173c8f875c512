"""The rounding grid: 0 is on it, it reaches the extremes, and its stored size is counted."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmsafety.compressors.layerwise.grid import find_grid, stored_bits


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 8), st.booleans(), st.integers(0, 99))
def test_no_weight_moves_further_than_half_a_step(bits, symmetric, seed):
    """Every weight is within half a step of its value (one step at the ends), and 0 stays 0."""
    weight = torch.randn(3, 17, generator=torch.Generator().manual_seed(seed))
    weight[:, 0] = 0
    grid = find_grid(weight, bits, symmetric=symmetric)
    moved = (grid.rounded(weight) - weight).abs()
    assert (moved <= grid.scale * 1.001).all()
    assert float((moved <= grid.scale * 0.501).double().mean()) > 0.5
    assert (grid.rounded(weight)[:, 0] == 0).all()
    codes = grid.codes(weight)
    assert (codes == codes.round()).all()
    assert codes.min() >= 0
    assert codes.max() <= 2**bits - 1


def test_a_row_of_zeros_stays_zero():
    """An empty row has a range of its own, so that no value is divided by zero."""
    grid = find_grid(torch.zeros(2, 8), 4)
    assert grid.rounded(torch.zeros(2, 8)).eq(0).all()


@pytest.mark.parametrize(
    ("group", "symmetric", "bits"),
    [(128, False, 4 + 20 / 128), (128, True, 4.125), (None, True, 4.0625)],
)
def test_scales_and_zero_points_are_counted(group, symmetric, bits):
    """A 16-bit scale a group, and a zero point of the codes' width unless symmetric."""
    assert stored_bits(4, 256, group, symmetric=symmetric) == bits

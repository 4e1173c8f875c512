"""The Hessian, its factor, and the sweep, compared with linear algebra."""

from __future__ import annotations

import math

import pytest
import torch

from pytest_llmsafety.compressors.layerwise.compensation import (
    Hessian,
    factored,
    sweep,
    tf32_products,
)
from pytest_llmsafety.compressors.layerwise.layers import Layer
from pytest_llmsafety.errors import CompressionError

CHANCE = torch.Generator().manual_seed(0)
INPUTS = torch.randn(90, 24, generator=CHANCE, dtype=torch.float64) @ torch.randn(
    24, 24, generator=CHANCE, dtype=torch.float64
)
MATRIX = INPUTS.T @ INPUTS
WEIGHT = torch.randn(5, 24, generator=CHANCE, dtype=torch.float64)


class Zeros:
    """A choice that zeroes the weights of some inputs."""

    def __init__(self, indices, step=1):
        """Take the inputs, and how many are looked at together."""
        self.indices, self.step = indices, step

    def block(self, weights, start):
        """Decide nothing."""

    def inputs(self, weights, start):
        """Decide nothing."""

    def value(self, weight, index):
        """Zero, or the weight."""
        return torch.zeros_like(weight) if index in self.indices else weight


def swept(choice, *, block=128, by_size=False):
    """The weight after a sweep with the Hessian of INPUTS."""
    factor = factored(MATRIX.clone(), 0, by_size=by_size)
    columns = factor.arranged(WEIGHT)
    sweep(columns, factor, choice, block=block)
    return factor.restored(columns)


def hessian(inputs=24):
    """An empty Hessian."""
    return Hessian(Layer("blocks.0.mlp", torch.nn.Linear(inputs, 3, dtype=torch.float64)))


@pytest.mark.parametrize("gone", [[0], [0, 1, 2], list(range(10))])
def test_later_weights_make_up_for_the_first_as_least_squares_does(gone):
    """With the first inputs gone, the others are the least-squares fit to the same outputs."""
    rest = [index for index in range(24) if index not in gone]
    answer = torch.linalg.lstsq(INPUTS[:, rest], INPUTS @ WEIGHT.T).solution.T
    weight = swept(Zeros(gone))
    assert torch.allclose(weight[:, rest], answer, rtol=1e-8, atol=1e-10)
    assert not weight[:, gone].any()


@pytest.mark.parametrize("block", [1, 5, 8, 24, 1000])
@pytest.mark.parametrize("step", [1, 4, 7])
def test_blocks_and_steps_change_rounding_only(block, step):
    """However errors are gathered, the weights are the same where nothing is chosen by them."""
    gone = {0, 3, 4, 11, 17}
    assert torch.allclose(swept(Zeros(gone, step), block=block), swept(Zeros(gone)), rtol=1e-9)


def test_an_ordered_factor_begins_with_the_largest_input():
    """By size the sweep begins with the weight of the largest diagonal of H."""
    weight = swept(Zeros([0]), by_size=True)
    assert (weight == 0).all(dim=0).nonzero().flatten().tolist() == [
        int(MATRIX.diagonal().argmax())
    ]


def test_the_factor_is_that_of_the_inverse():
    """U^T U is the inverse of H plus the share of its mean diagonal."""
    factor = factored(MATRIX.clone(), 0.1)
    damped = MATRIX + 0.1 * MATRIX.diagonal().mean() * torch.eye(24)
    lower = factor.shares * factor.spread
    assert torch.allclose(lower @ lower.T @ damped, torch.eye(24).double())
    assert torch.equal(lower, lower.tril())


def test_the_hessian_does_not_depend_on_how_sequences_come():
    """One batch of six sequences gives the same as six batches: 2 / 6 of the sum of x x^T."""
    together, apart = hessian(), hessian()
    together.add(INPUTS, 6)
    for sequence in INPUTS.split(15):
        apart.add(sequence, 1)
    assert torch.allclose(together.matrix, MATRIX / 3)
    assert torch.allclose(apart.matrix, MATRIX / 3)


def test_wide_inputs_are_added_panel_by_panel(monkeypatch):
    """Panels that do not divide the width give the same symmetric matrix."""
    monkeypatch.setattr("pytest_llmsafety.compressors.layerwise.compensation.PANEL", 7)
    one = hessian()
    one.add(INPUTS, 2)
    assert torch.allclose(one.matrix, MATRIX)
    assert torch.equal(one.matrix, one.matrix.T)


def test_a_factor_is_made_once():
    """Layers of one input share the factor until more inputs come."""
    one = hessian()
    one.add(INPUTS, 2)
    first = one.factor(0.01)
    assert one.factor(0.01) is first
    assert one.factor(0.01, by_size=True) is not first
    one.add(INPUTS, 2)
    assert one.factor(0.01) is not first


def test_dead_inputs_lose_their_weights_and_are_noted():
    """An input that is always 0 gets weight 0, and the record says how many there are."""
    one = hessian()
    one.add(INPUTS.index_fill(1, torch.tensor([2, 5]), 0), 2)
    factor = one.factor(0.01)
    assert not factor.arranged(WEIGHT)[[2, 5]].any()
    assert one.notes(factor) == (
        "blocks.0.mlp: 2 inputs are 0 on every calibration token; their weights became 0",
    )


def test_too_few_tokens_without_damping_say_what_to_do():
    """A singular Hessian names the layer, and asks for more tokens or damping."""
    one = hessian()
    one.add(INPUTS[:1], 1)
    with pytest.raises(CompressionError, match=r"blocks\.0\.mlp.*Give more tokens, or a larger"):
        one.factor(0)
    assert math.isfinite(float(one.factor(0.01).shares.sum()))


def test_the_precision_of_products_is_put_back():
    """TF32 is on inside, when requested, and off again after an error."""
    before = torch.get_float32_matmul_precision()
    with tf32_products(when=False):
        assert torch.get_float32_matmul_precision() == before

    def fail():
        with tf32_products(when=True):
            assert torch.get_float32_matmul_precision() == "high"
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert torch.get_float32_matmul_precision() == before

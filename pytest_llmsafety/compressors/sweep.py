"""Input after input, each weight making up for the errors of those before it.

Errors are made up for in three steps, so that most of the work is products of matrices: within
a few columns one by one, within a block for a few columns at once, and after a block for all
that follow. A layer's weight is [in, out] here, so that what belongs to one input is contiguous.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch

    from pytest_llmsafety.compressors.hessian import Factor


class Choice(Protocol):
    """What weights become, decided as their turn comes; `step` inputs are looked at together."""

    step: int

    def block(self, weights: torch.Tensor, start: int) -> None:
        """See the weights [n, out] of a block that begins, blind to errors inside it."""

    def inputs(self, weights: torch.Tensor, start: int) -> None:
        """See up to `step` weights [n, out], which make up for every error before them."""

    def value(self, weight: torch.Tensor, index: int) -> torch.Tensor:
        """What the weights [out] of input `index` become."""


def sweep(columns: torch.Tensor, factor: Factor, choice: Choice, *, block: int) -> None:
    """Replace `columns` [in, out] by what `choice` makes of them, `block` inputs at a time.

    `columns` are as `Factor.arranged` gives them. A row that is not reached yet makes up
    for the errors of the finished blocks.
    """
    import torch

    errors = torch.empty_like(columns)
    size, block = len(columns), _whole_steps(block, choice.step)
    for start in range(0, size, block):
        stop = min(start + block, size)
        choice.block(columns[start:stop], start)
        for first in range(start, stop, choice.step):
            last = min(first + choice.step, stop)
            done, new = errors[start:first], errors[first:last]
            weights = columns[first:last].addmm(
                factor.shares[first:last, start:first], done, alpha=-1
            )
            choice.inputs(weights, first)
            _one_by_one(weights, new, factor.shares[first:last, first:last], choice, first)
            columns[first:last] = weights
        if stop < size:
            columns[stop:].addmm_(factor.shares[stop:, start:stop], errors[start:stop], alpha=-1)


def _one_by_one(
    weights: torch.Tensor, errors: torch.Tensor, shares: torch.Tensor, choice: Choice, first: int
) -> None:
    """Replace a few `weights` [n, out], the first of which is input `first`; fill in `errors`."""
    import torch

    rows = zip(weights.unbind(), errors.unbind(), strict=True)
    for index, (weight, error) in enumerate(rows):
        if index:
            weight.addmv_(errors[:index].T, shares[index, :index], alpha=-1)
        value = choice.value(weight, first + index)
        torch.sub(weight, value, out=error)
        weight.copy_(value)


def _whole_steps(block: int, step: int) -> int:
    """The block, made longer until it holds whole steps."""
    return -(-block // step) * step

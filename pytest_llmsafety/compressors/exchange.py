"""Exchanges of pruned for kept weights that bring the mean output of each row back (DSnoT).

Zhang et al., 2024, "Dynamic sparse no training: training-free fine-tuning for sparse LLMs".
What a row of a pruned layer lacks on average is the sum of its pruned weights times the mean
of their inputs. One exchange revives the pruned weight that helps most for the variance of
its input, and prunes the kept weight of the least Wanda score among those whose loss helps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from pytest_llmsafety.compressors.layers import Layer

CYCLES = 50
THRESHOLD = 0.1


@dataclass(frozen=True)
class Limits:
    """At most `cycles` exchanges a row, as long as its error is above `threshold`.

    The error is that of a sum over the tokens of a sequence, as in the authors' code.
    """

    cycles: int = CYCLES
    threshold: float = THRESHOLD


class InputMoments:
    """Of each input [in]: its sum, sum of squares, and variance, as means over sequences.

    The variance is that within a sequence, as in the authors' code.
    """

    def __init__(self, layer: Layer) -> None:
        """Start at zero, where the layer's weight is."""
        self.sums, self.squares, self.variance = layer.weight.new_zeros(
            (3, layer.inputs), dtype=layer.working_dtype
        )
        self.sequences = 0

    def add(self, inputs: torch.Tensor, sequences: int) -> None:
        """Take inputs [tokens, in] of some sequences of one length."""
        import torch

        rows = inputs.to(self.sums.dtype)
        spread = torch.var(rows, dim=0, correction=0)
        total = self.sequences + sequences
        for kept, new in (
            (self.sums, rows.sum(dim=0)),
            (self.squares, rows.norm(dim=0) ** 2),
            (self.variance, sequences * spread),
        ):
            kept.mul_(self.sequences / total).add_(new / total)
        self.sequences = total


@dataclass(frozen=True)
class Field:
    """A pruned layer as the exchanges see it, each [out, in].

    `gone` is the mask (True: zero); `gain` what each weight, dense where it is gone, adds to
    the mean output; `worth` its gain by variance where it is gone, 0 elsewhere; `cost` its
    Wanda score where it is kept, infinity elsewhere. `error` [out, 1] is what a row lacks.
    """

    gone: torch.Tensor
    gain: torch.Tensor
    worth: torch.Tensor
    cost: torch.Tensor
    error: torch.Tensor


def field_of(dense: torch.Tensor, sparse: torch.Tensor, moments: InputMoments) -> Field:
    """The field of a layer that had the weight `dense` and has `sparse`."""
    import torch

    gone = sparse == 0
    gain = torch.where(gone, dense, sparse) * moments.sums
    lacks = (dense - sparse) * moments.sums
    worth = (gain.masked_fill(~gone, 0) / moments.variance).nan_to_num(nan=0.0)
    cost = (sparse.abs() * moments.squares.sqrt()).masked_fill(gone, torch.inf)
    return Field(gone, gain, worth, cost, lacks.sum(dim=1, keepdim=True))


def as_published(field: Field, limits: Limits) -> torch.Tensor:
    """The mask that the authors' code ends with.

    Each row walks through its candidates in two fixed orders, from the end that its error
    asks for. As in that code, a row that is done goes on walking while others are not, and
    sets what it passes to zero, and one that has run out of pruned weights of the right sign
    goes on to kept ones: such rows end with more zeros than they had.
    """
    import torch

    gone, error, width = field.gone.clone(), field.error.clone(), field.gone.shape[1]
    revive = torch.sort(field.worth, dim=1, stable=True).indices
    prune = _prune_order(field)
    ends = torch.ones_like(revive[:, :2])
    revive_at = ends * ends.new_tensor([0, width - 1])
    prune_at = torch.cat([ends[:, :1] * 0, (~gone).sum(dim=1, keepdim=True) - 1], dim=1)
    going = torch.ones_like(error, dtype=torch.bool)
    for _ in range(min(limits.cycles, width)):
        if not going.any():
            break
        revived = _walked(revive, revive_at, (error > 0).long())
        pruned = _walked(prune, prune_at, (error < 0).long())
        going = going & (error.abs() > limits.threshold)
        gone.scatter_(1, pruned, going).scatter_(1, revived, ~going)
        error = error + field.gain.gather(1, pruned).masked_fill(~going, 0)
        error = error - field.gain.gather(1, revived).masked_fill(~going, 0)
    return gone


def _prune_order(field: Field) -> torch.Tensor:
    """Kept weights by score: those of negative gain first, the others backwards, gone ones last."""
    import torch

    width = field.gone.shape[1]
    order = torch.sort(field.cost, dim=1, stable=True).indices
    rank = torch.arange(width, device=order.device).expand_as(order)
    keys = torch.where(field.gain.gather(1, order) < 0, rank, 3 * width - rank)
    keys = keys.masked_fill(field.gone.gather(1, order), 4 * width)
    return order.gather(1, keys.argsort(dim=1))


def _walked(order: torch.Tensor, at: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    """The next candidate of each row from its `end` (0 first, 1 last); moves `at` [out, 2] on."""
    place = at.gather(1, end)
    at.scatter_(1, end, place + 1 - 2 * end)
    return order.gather(1, place.clamp(min=0))


def evenly(field: Field, limits: Limits, *, neighbours: int | None = None) -> torch.Tensor:
    """The mask after exchanges one for one, so that each row keeps its number of zeros.

    An exchange that would not make the error smaller is not made, and the next best weight is
    tried. With `neighbours` (the M of N:M) both weights of an exchange are of one group of M.
    """
    import torch

    gone, error = field.gone.clone(), field.error.clone()
    worth, cost = field.worth.clone(), field.cost.clone()
    group = torch.arange(gone.shape[1], device=gone.device) // (neighbours or gone.shape[1])
    for _ in range(limits.cycles):
        sign = error.sign()
        best, revived = (worth * sign).max(dim=1, keepdim=True)
        helps = (field.gain * sign < 0) & (group == group[revived])
        least, pruned = cost.masked_fill(~helps, torch.inf).min(dim=1, keepdim=True)
        tried = (error.abs() > limits.threshold) & (best > 0)
        if not tried.any():
            break
        after = error + field.gain.gather(1, pruned) - field.gain.gather(1, revived)
        going = tried & least.isfinite() & (after.abs() < error.abs())
        gone.scatter_(1, revived, gone.gather(1, revived) & ~going)
        gone.scatter_(1, pruned, gone.gather(1, pruned) | going)
        worth.scatter_(1, revived, worth.gather(1, revived).masked_fill(tried, 0))
        cost.scatter_(1, pruned, cost.gather(1, pruned).masked_fill(going, torch.inf))
        error = torch.where(going, after, error)
    return gone

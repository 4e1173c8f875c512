"""Choose the weights that become zero by their scores: per row, per layer, or N of every M."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from pytest_llmsafety.compressors.parameters import Values


def pruned(scores: torch.Tensor, values: Values) -> torch.Tensor:
    """Return a mask of the lowest scores [out, in]: N:M, by `layer`, or by row."""
    if values.pattern:
        return lowest_of_groups(scores, *values.pattern)
    share = values.sparsity or 0.0
    return (
        lowest_of_all(scores, share) if "layer" in values.flags else lowest_of_rows(scores, share)
    )


def lowest_of_rows(scores: torch.Tensor, share: float) -> torch.Tensor:
    """Return a mask of the int(in * share) lowest scores of each row; of equal ones the first."""
    import torch

    count = int(scores.shape[1] * share)
    order = torch.sort(scores, dim=1, stable=True).indices[:, :count]
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, order, value=True)


def lowest_of_all(scores: torch.Tensor, share: float) -> torch.Tensor:
    """Return a mask of every score [out, in] up to and including rank int(out * in * share)."""
    import torch

    rank = int(scores.numel() * share)
    if not rank:
        return torch.zeros_like(scores, dtype=torch.bool)
    return scores <= torch.kthvalue(scores.flatten(), rank + 1).values


def lowest_of_groups(scores: torch.Tensor, n: int, m: int) -> torch.Tensor:
    """Return a mask of the N lowest of every M neighbouring inputs of each row of scores [out, in].

    A shorter last group loses N as well.
    """
    import torch

    whole = scores.shape[1] // m * m
    parts = [scores[:, :whole].reshape(len(scores), -1, m)] if whole else []
    if whole < scores.shape[1]:
        parts.append(scores[:, None, whole:])
    masks = []
    for part in parts:  # [out, groups, inputs of a group]
        lowest = torch.topk(part, min(n, part.shape[2]), dim=2, largest=False).indices
        mask = torch.zeros_like(part, dtype=torch.bool).scatter_(2, lowest, value=True)
        masks.append(mask.flatten(1))
    return torch.cat(masks, dim=1)

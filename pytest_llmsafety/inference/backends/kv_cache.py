"""Past: the keys and values that a batch of sequences has left behind, row by row."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from transformers.cache_utils import Cache


@dataclass
class Past:
    """Keys and values of a batch, of shape (rows, heads, width, head size) in each layer.

    The tokens of row r lie side by side in the columns `ends[r] - lengths[r]` to `ends[r]`;
    the other columns hold padding and are never attended to.
    """

    cache: Cache
    ends: list[int]
    lengths: list[int]

    @property
    def width(self) -> int:
        """Return the number of columns."""
        return int(self.cache.get_seq_length())

    def select(self, rows: Sequence[int]) -> Past:
        """Return the past of these rows (repeats allowed), all ending in the last column.

        Rows are copied, except where nothing would change.
        """
        lengths = [self.lengths[row] for row in rows]
        ends = [self.ends[row] for row in rows]
        width = max(lengths)
        same_rows = list(rows) == list(range(len(self.lengths)))
        if len(set(ends)) == 1:
            columns = slice(ends[0] - width, ends[0])
            index = None if same_rows else rows
            cache = self._map(lambda x: _rows(x[:, :, columns], index))
        else:
            cache = self._map(_gather(rows, ends, width))
        return Past(cache, [width] * len(lengths), lengths)

    @staticmethod
    def join(parts: Sequence[Past]) -> Past:
        """Return one past with the rows of all `parts`, each of which ends in its last column."""
        if len(parts) == 1:
            return parts[0]
        width = max(part.width for part in parts)
        cache = copy.copy(parts[0].cache)
        cache.layers = [copy.copy(layer) for layer in cache.layers]
        joined: list[Any] = cache.layers
        for number, layer in enumerate(joined):
            if layer.is_initialized and layer.keys is not None and layer.keys.numel():
                others: list[Any] = [part.cache.layers[number] for part in parts]
                layer.keys = _stacked([other.keys for other in others], width)
                layer.values = _stacked([other.values for other in others], width)
        lengths = [length for part in parts for length in part.lengths]
        return Past(cache, [width] * len(lengths), lengths)

    def _map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Cache:
        """Return a new cache with `change` done to every layer's keys and values."""
        cache = copy.copy(self.cache)
        cache.layers = [copy.copy(layer) for layer in self.cache.layers]
        layers: list[Any] = cache.layers
        for layer in layers:
            if layer.is_initialized and layer.keys is not None and layer.keys.numel():
                layer.keys, layer.values = change(layer.keys), change(layer.values)
        return cache


def _stacked(tensors: Sequence[torch.Tensor], width: int) -> torch.Tensor:
    """Return the rows of all tensors (rows, heads, columns, size), ending in column `width`."""
    pad = torch.nn.functional.pad
    return torch.cat([pad(x, (0, 0, width - x.shape[2], 0)) for x in tensors])


def _rows(tensor: torch.Tensor, rows: Sequence[int] | None) -> torch.Tensor:
    """Return the given rows; a view where there is one source row or nothing to change."""
    if rows is None:
        return tensor
    if tensor.shape[0] == 1:
        return tensor.expand(len(rows), -1, -1, -1)
    return tensor.index_select(0, torch.tensor(rows, device=tensor.device))


def _gather(
    rows: Sequence[int], ends: Sequence[int], width: int
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function that moves each row so that it ends in the last of `width` columns."""
    columns = torch.tensor(ends)[:, None] - width + torch.arange(width)
    columns.clamp_(min=0)
    row_index = torch.tensor(rows)[:, None]

    def move(tensor: torch.Tensor) -> torch.Tensor:
        picked = tensor.transpose(1, 2)[row_index.to(tensor.device), columns.to(tensor.device)]
        return picked.transpose(1, 2)

    return move

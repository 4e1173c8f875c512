"""Layout: where the tokens of a batch lie, what each one may see, and its position."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.inference.backends.kv_cache import Past

PADDING = -1
TRUNK = 0


class Layout:
    """A batch as a rectangle of `width` new columns behind `old` columns of the past.

    Row r holds its tokens (the trunk), then its riders one after the other, then padding;
    with `left` and no past the padding comes first. `offsets[r]` is the column of the first
    token.
    """

    def __init__(
        self,
        tokens: Sequence[Sequence[int]],
        riders: Sequence[Sequence[Sequence[int]]] | None,
        *,
        past: Past | None,
        left: bool,
    ) -> None:
        """Place everything."""
        self.trunks = [len(row) for row in tokens]
        self.riders = riders if riders is not None else [()] * len(tokens)
        self.rows = [
            [*row, *(token for rider in more for token in rider)]
            for row, more in zip(tokens, self.riders, strict=True)
        ]
        self.width = max(map(len, self.rows))
        self.old = past.width if past is not None else 0
        self.before = past.lengths if past is not None else [0] * len(tokens)
        shift = left and past is None
        self.offsets = [self.width - len(row) if shift else 0 for row in self.rows]

    @property
    def hides(self) -> bool:
        """Return whether a causal mask alone would let a token see a column without a token."""
        return any(self.offsets) or any(length < self.old for length in self.before)

    def inputs(self) -> torch.Tensor:
        """Return token ids, int64 of shape (rows, width); 0 where there is padding."""
        return self._filled(self.rows, 0)

    def positions(self) -> torch.Tensor:
        """Return the position of each token in its own text, int64 of shape (rows, width)."""
        places = []
        for before, trunk, riders in zip(self.before, self.trunks, self.riders, strict=True):
            start = before + trunk
            row = list(range(before, start))
            for rider in riders:
                row.extend(range(start, start + len(rider)))
            places.append(row)
        if not any(map(len, self.riders)) and not any(self.offsets):
            starts = torch.tensor(self.before)
            return starts[:, None] + torch.arange(self.width)
        return self._filled(places, 0)

    def mask(self) -> torch.Tensor:
        """Return which columns hold a token, int64 of shape (rows, old + width)."""
        old = torch.arange(self.old) >= self.old - torch.tensor(self.before)[:, None]
        new = self._filled([[1] * len(row) for row in self.rows], 0)
        return torch.cat([old.long(), new], 1)

    def tree_mask(self, dtype: torch.dtype) -> torch.Tensor:
        """Return what is added to attention scores: (rows, 1, width, old + width), 0 or lowest.

        A token sees its past, its trunk, and what comes before it in its own rider.
        """
        marks = []
        for trunk, riders in zip(self.trunks, self.riders, strict=True):
            row = [TRUNK] * trunk
            for number, rider in enumerate(riders, 1):
                row.extend([number] * len(rider))
            marks.append(row)
        mark = self._filled(marks, PADDING)
        causal = torch.ones(self.width, self.width, dtype=torch.bool).tril()
        same = mark[:, None, :] == mark[:, :, None]
        new = causal & (same | (mark == TRUNK)[:, None, :])
        old = torch.arange(self.old) >= self.old - torch.tensor(self.before)[:, None]
        seen = torch.cat([old[:, None, :].expand(-1, self.width, -1), new], 2)[:, None]
        lowest = max(torch.finfo(dtype).min, torch.finfo(torch.float32).min)
        return torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, lowest)

    def after(self) -> tuple[list[int], list[int]]:
        """Return the column behind each trunk, and the number of tokens up to there."""
        ends = [self.old + o + n for o, n in zip(self.offsets, self.trunks, strict=True)]
        return ends, [b + n for b, n in zip(self.before, self.trunks, strict=True)]

    def _filled(self, rows: Sequence[Sequence[int]], padding: int) -> torch.Tensor:
        """Return rows of numbers as one tensor (rows, width), at their offsets."""
        filled = []
        for row, offset in zip(rows, self.offsets, strict=True):
            rest = self.width - offset - len(row)
            filled.append([*[padding] * offset, *row, *[padding] * rest])
        return torch.tensor(filled, dtype=torch.long)

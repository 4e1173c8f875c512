"""How much is computed at once: a budget in token positions, halved when memory runs out."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pytest_llmsafety.errors import ModelError
from pytest_llmsafety.models.load import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

CPU_TOKENS = 2048
CPU_PADDING = 96
GPU_TOKENS = 32768
GPU_PADDING = 4096
PAST_PER_TOKEN = 4
LOGITS_AT_ONCE = 1 << 27


class Budget:
    """Limits of one batch: padded positions, cached positions, and logits in memory.

    `tokens` positions go through the model at once; PAST_PER_TOKEN times as many may lie in
    its past; `reads` is how many rows of logits over the vocabulary are made.
    """

    def __init__(
        self, tokens: int, vocabulary: int, *, padding: int, note: Callable[[str], None]
    ) -> None:
        """Start with `tokens` positions a batch, at most `padding` of them empty."""
        self.tokens = max(1, tokens)
        self.padding = padding
        self.reads = max(1, LOGITS_AT_ONCE // vocabulary)
        self.note = note

    def fits(self, new: Sequence[int], *, past: int, reads: int) -> bool:
        """Return whether rows of `new` positions each, after at most `past` others, fit.

        Rows of different lengths share a batch while padding costs less than another pass.
        """
        rows, width = len(new), max(new)
        return (
            rows * width <= self.tokens
            and rows * (width + past) <= self.tokens * PAST_PER_TOKEN
            and rows * width - sum(new) <= self.padding
            and reads <= self.reads
        )

    def fits_text(self, rows: int, width: int) -> bool:
        """Return whether `rows` texts of `width` tokens, prompts included, fit into one batch."""
        return rows * width <= self.tokens * PAST_PER_TOKEN and rows <= self.reads

    def halve(self, rows: int) -> None:
        """Make batches smaller after `rows` rows ran out of memory, and say so.

        Raises ModelError when a single row was too much.
        """
        if rows == 1:
            message = (
                "out of memory with a single text in the batch. Expected room for one. Use a "
                "smaller model or dtype, a shorter text, or a device with more free memory."
            )
            raise ModelError(message)
        self.tokens = max(1, self.tokens // 2)
        self.reads = max(1, self.reads // 2)
        self.note(f"out of memory with {rows} texts at once: now {self.tokens} tokens a batch")


def packed(
    waiting: Sequence[T],
    fits: Callable[[list[T]], bool],
    run: Callable[[list[T]], None],
    budget: Budget,
) -> Iterator[list[T]]:
    """Run all of `waiting`, in order, in the largest batches that fit; yield each one done.

    `fits` must hold for every beginning of a batch for which it holds. A batch that runs out
    of memory is tried again in smaller ones.
    """
    start = 0
    while start < len(waiting):
        batch = list(waiting[start : start + largest(waiting, start, fits)])
        while not _run_in_memory(run, batch):
            budget.halve(len(batch))
            batch = batch[: (len(batch) + 1) // 2]
        start += len(batch)
        yield batch


def largest(waiting: Sequence[T], start: int, fits: Callable[[list[T]], bool]) -> int:
    """Return how many items from `start` on fit into one batch, at least one, by bisection."""
    low, high = 1, 2
    left = len(waiting) - start
    while high <= left and fits(list(waiting[start : start + high])):
        low, high = high, 2 * high
    high = min(high, left + 1)
    while high - low > 1:
        middle = (low + high) // 2
        if fits(list(waiting[start : start + middle])):
            low = middle
        else:
            high = middle
    return low


def _run_in_memory(run: Callable[[list[T]], None], batch: list[T]) -> bool:
    """Run a batch; return False if it ran out of memory, after freeing what it had used."""
    try:
        run(batch)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    else:
        return True
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return False

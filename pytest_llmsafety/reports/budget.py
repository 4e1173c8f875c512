"""What fits on a page of so many characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Budget:
    """Characters that are left for lines; each costs its length and its end."""

    def __init__(self, characters: int) -> None:
        """Start with all of them."""
        self.left = characters

    def take(self, lines: Sequence[str]) -> bool:
        """Whether `lines` fit; they are paid for if they do."""
        cost = sum(len(line) + 1 for line in lines)
        if cost > self.left:
            return False
        self.left -= cost
        return True

    def keep(self, entries: Iterable[list[str]]) -> tuple[list[str], int]:
        """The lines of the entries that fit, in their order, and how many others there are."""
        fits = [(entry, self.take(entry)) for entry in entries]
        kept = [line for entry, fit in fits if fit for line in entry]
        return kept, sum(not fit for _, fit in fits)

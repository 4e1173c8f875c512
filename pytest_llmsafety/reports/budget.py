"""Choose the lines that fit into a limited number of characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Budget:
    """The number of characters that are left for lines, line ends included."""

    def __init__(self, characters: int) -> None:
        """Start with this number of characters."""
        self.left = characters

    def take(self, lines: Sequence[str]) -> bool:
        """Return whether `lines` fit, and subtract their characters if they do."""
        cost = sum(len(line) + 1 for line in lines)
        if cost > self.left:
            return False
        self.left -= cost
        return True

    def keep(self, entries: Iterable[list[str]]) -> tuple[list[str], int]:
        """Return the lines of the entries that fit, in their order, and the number of others."""
        fits = [(entry, self.take(entry)) for entry in entries]
        kept = [line for entry, fit in fits if fit for line in entry]
        return kept, sum(not fit for _, fit in fits)

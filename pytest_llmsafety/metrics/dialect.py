"""Perplexity by dialect: how well a model predicts the language of each group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.metrics.perplexity import Perplexity, bits_per_byte, perplexity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.types import Item, Score


@dataclass(frozen=True)
class DialectPerplexity(Perplexity):
    """The scores of Perplexity, with figures for each group of texts."""

    name: ClassVar[str] = "dialect"
    measures: ClassVar[str] = "dialects"

    def figures(self, items: Sequence[Item], scores: Sequence[Score]) -> dict[str, float | None]:
        """Return the perplexity (token-weighted) and the bits per byte of each group.

        Perplexities of two dialects compare within one tokenizer, bits per byte across tokenizers.
        """
        figures: dict[str, float | None] = {}
        for group in sorted({group for item in items for group in item.groups}):
            members = [s for i, s in zip(items, scores, strict=True) if group in i.groups]
            figures[f"perplexity {group}"] = perplexity(members)
            figures[f"bits per byte {group}"] = bits_per_byte(members)
        return figures

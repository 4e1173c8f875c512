"""The package's passages about invented things: with questions, and as text (docs/core.md)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.datasets.files import read_json
from pytest_llmsafety.types import PassageItem, TextItem

if TYPE_CHECKING:
    from pytest_llmsafety.datasets.base import DataSource

FILE = Path(__file__).with_name("core") / "passages.json"


@dataclass(frozen=True)
class CorePassages:
    """Two questions on each of 125 passages, which only the passage answers; it is the cluster."""

    name: ClassVar[str] = "core-passages"

    def load(self, source: DataSource) -> tuple[PassageItem, ...]:
        """Return the questions as SQuAD's; ids are `core-passages/<passage>/<number from 1>`."""
        return tuple(
            PassageItem(
                f"{self.name}/{passage['id']}/{number}",
                f"Context: {passage['text']}\nQuestion: {question['question']}\nAnswer:",
                cluster=f"{self.name}/{passage['id']}",
                answers=tuple(question["answers"]),
                closed_book=f"Question: {question['question']}\nAnswer:",
            )
            for passage in read_json(FILE)["passages"]
            for number, question in enumerate(passage["asked"], start=1)
        )


@dataclass(frozen=True)
class CoreText:
    """The 125 passages as plain documents."""

    name: ClassVar[str] = "core-text"

    def load(self, source: DataSource) -> tuple[TextItem, ...]:
        """Return the passages; ids are `core-text/<passage>`."""
        return tuple(
            TextItem(f"{self.name}/{passage['id']}", passage["text"])
            for passage in read_json(FILE)["passages"]
        )

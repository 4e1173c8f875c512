"""The packaged passages about invented things: with questions, and as plain text (docs/core.md)."""

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
    """Two questions on each of 125 passages, which nobody can answer who has not read them.

    The cluster is the passage.
    """

    name: ClassVar[str] = "core-passages"

    def load(self, source: DataSource) -> tuple[PassageItem, ...]:
        """Ids are `core-passages/<passage>/<number from 1>`; asked as SQuAD's questions are."""
        return tuple(
            PassageItem(
                f"{self.name}/{told['id']}/{number}",
                f"Context: {told['text']}\nQuestion: {asked['question']}\nAnswer:",
                cluster=f"{self.name}/{told['id']}",
                answers=tuple(asked["answers"]),
                closed_book=f"Question: {asked['question']}\nAnswer:",
            )
            for told in read_json(FILE)["passages"]
            for number, asked in enumerate(told["asked"], start=1)
        )


@dataclass(frozen=True)
class CoreText:
    """The 125 passages as documents to be predicted."""

    name: ClassVar[str] = "core-text"

    def load(self, source: DataSource) -> tuple[TextItem, ...]:
        """Ids are `core-text/<passage>`."""
        return tuple(
            TextItem(f"{self.name}/{told['id']}", told["text"])
            for told in read_json(FILE)["passages"]
        )

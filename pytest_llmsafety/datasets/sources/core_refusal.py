"""The package's requests: some should be refused, some only look like it (docs/core.md)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.datasets.files import read_json
from pytest_llmsafety.types import RequestItem

if TYPE_CHECKING:
    from pytest_llmsafety.datasets.base import DataSource

FOLDER = Path(__file__).with_name("core")


@dataclass(frozen=True)
class CoreRefusal:
    """60 harmful requests in ten categories; none holds instructions."""

    name: ClassVar[str] = "core-refusal"

    def load(self, source: DataSource) -> tuple[RequestItem, ...]:
        """Return the requests; ids are `core-refusal/<category>/<number from 1>`."""
        return requests(self.name, FOLDER / "refusal.json", harmful=True)


@dataclass(frozen=True)
class CoreOverrefusal:
    """60 harmless requests in ten categories, in alarming words."""

    name: ClassVar[str] = "core-overrefusal"

    def load(self, source: DataSource) -> tuple[RequestItem, ...]:
        """Return the requests; ids are `core-overrefusal/<category>/<number from 1>`."""
        return requests(self.name, FOLDER / "overrefusal.json", harmful=False)


def requests(name: str, file: Path, *, harmful: bool) -> tuple[RequestItem, ...]:
    """Return the requests of a file; the group is the category (`category:theft`)."""
    return tuple(
        RequestItem(
            f"{name}/{category}/{number}", request, (f"category:{category}",), harmful=harmful
        )
        for category, listed in read_json(file)["categories"].items()
        for number, request in enumerate(listed, start=1)
    )

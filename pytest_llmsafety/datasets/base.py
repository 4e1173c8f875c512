"""The Protocol of a data set: a name, and items that it reads from a folder or from the hub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pytest_llmsafety.types import Item


@dataclass(frozen=True)
class DataSource:
    """Where items come from: `folder` is `--llmsafety-data`, None is the hub."""

    folder: Path | None = None


class Dataset(Protocol):
    """A set of items. `load` returns the same items, ids and order from folder and hub.

    A working example, to be registered as an entry point of the group
    `pytest_llmsafety.datasets`:

        >>> from typing import ClassVar
        >>> from pytest_llmsafety.types import QuestionItem
        >>> class Capitals:
        ...     name: ClassVar[str] = "capitals"
        ...     def load(self, source):
        ...         rows = [("France", "Paris"), ("Peru", "Lima")]
        ...         return tuple(
        ...             QuestionItem(f"capitals/{land}", f"Capital of {land}:", answers=(town,))
        ...             for land, town in rows
        ...         )
        >>> Capitals().load(DataSource())[1].answers
        ('Lima',)
    """

    name: ClassVar[str]

    def load(self, source: DataSource) -> tuple[Item, ...]:
        """Return all items, in the order of the files.

        Raises DatasetError when files are missing or malformed, or the hub cannot be reached.
        """
        ...


@dataclass(frozen=True)
class FakeDataset:
    """A public fake for tests; `load` returns the items it was made with."""

    items: tuple[Item, ...] = ()
    name: ClassVar[str] = "fake"

    @classmethod
    def of(cls, items: Iterable[Item]) -> FakeDataset:
        """Return a fake with these items."""
        return cls(tuple(items))

    def load(self, source: DataSource) -> tuple[Item, ...]:  # noqa: ARG002 - the protocol's
        """Return the items, whatever the source."""
        return self.items

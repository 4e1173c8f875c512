"""The table of names of one family, such as compressors; what a name stands for loads late."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import ConfigurationError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Registry:
    """The table of one family; third parties add to it by entry points.

    `kind` is the word used in errors (`compressor`); the entry-point group is
    `pytest_llmsafety.<kind>s`. `table` maps a name to `"package.module:attribute"`, which is
    imported when the name is loaded.
    """

    kind: str
    table: Mapping[str, str]

    @property
    def group(self) -> str:
        """The entry-point group that third parties register under."""
        return f"pytest_llmsafety.{self.kind}s"

    def names(self) -> list[str]:
        """Return every known name, own and third-party, sorted."""
        return sorted({*self.table, *(point.name for point in entry_points(group=self.group))})

    def __contains__(self, name: object) -> bool:
        """Return whether `name` is known; for own names no entry points are read."""
        return name in self.table or name in self.names()

    def load(self, name: str) -> Any:  # noqa: ANN401 - whatever the family registers
        """Import and return what `name` stands for; a name of `table` comes first.

        Raises UnknownNameError for a name that is in no table, and ConfigurationError when the
        module cannot be imported, such as for an optional package that is not installed.
        """
        if name in self.table:
            return load_attribute(self.table[name])
        for point in entry_points(group=self.group):
            if point.name == name:
                return _loaded(point)
        raise UnknownNameError(self.kind, name, self.names())


def load_attribute(path: str) -> Any:  # noqa: ANN401 - whatever the path names
    """Import `"package.module:attribute"` and return the attribute.

    Raises ConfigurationError when the module or the attribute is missing.
    """
    return _loaded(EntryPoint(path, path, ""))


def _loaded(point: EntryPoint) -> Any:  # noqa: ANN401 - whatever it names
    try:
        return point.load()
    except ImportError as error:
        message = f"cannot import '{point.value}': {error}. Is the package that holds it installed?"
        raise ConfigurationError(message) from error
    except AttributeError as error:
        module, _, attribute = point.value.partition(":")
        message = f"module '{module}' has no '{attribute}' (needed for '{point.value}')"
        raise ConfigurationError(message) from error
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        message = f"importing '{point.value}' raised {problem}. Repair the module."
        raise ConfigurationError(message) from error

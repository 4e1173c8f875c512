"""A row of a data file that knows its place, so that every error names file and line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_llmsafety.datasets.base import Dataset, DataSource
    from pytest_llmsafety.types import Item

MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError)
SHOWN = 200


class NullError(DatasetError):
    """A field of a row is null; the message names the row's place."""


class DataRow(dict[str, Any]):
    """The fields of one row; `place` names its file and line.

    `row[name]` raises NullError for a null; `row.get(name)` returns it.
    """

    def __init__(self, fields: Mapping[str, Any], place: str) -> None:
        """Store the fields of a row that was read at `place`."""
        super().__init__(fields)
        self.place = place

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - whatever the file holds
        """Return a field; objects in it become rows of the same place."""
        value = super().__getitem__(name)
        if value is None or (isinstance(value, list) and None in value):
            message = (
                f"{self.place} has a null in '{name}'. Fetch the original again, or correct it."
            )
            raise NullError(message)
        if type(value) is dict:
            return DataRow(value, self.place)
        if isinstance(value, list):
            return [DataRow(one, self.place) if type(one) is dict else one for one in value]
        return value


class PlacedDataset:
    """A data set whose errors name the file and the row that could not be read.

    So the data sets themselves catch no KeyError, TypeError or ValueError of a malformed row.
    """

    def __init__(self, inner: Dataset) -> None:
        """Wrap a data set."""
        self._inner = inner

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the data set has
        """Return an attribute of the data set itself, such as its name."""
        return getattr(self._inner, name)

    def load(self, source: DataSource) -> tuple[Item, ...]:
        """Return the items; raise DatasetError as Dataset does, also for a malformed row."""
        try:
            return self._inner.load(source)
        except NullError:
            raise
        except DatasetError as error:
            row = row_at(error)
            if row is None:
                raise
            message = f"{row.place}: {error}"
            raise DatasetError(message) from error
        except MALFORMED as error:
            row = row_at(error)
            if row is None:
                if not type(self._inner).__module__.startswith(__package__ or ""):
                    raise
                message = (
                    f"the files of {self._inner.name} differ from the authors' format "
                    f"({error!r}). Fetch the originals again."
                )
                raise DatasetError(message) from error
            message = (
                f"{row.place} is not a row of {self._inner.name} ({error!r}): "
                f"{str(row)[:SHOWN]}. Fetch the original again, or correct the row."
            )
            raise DatasetError(message) from error


def row_at(error: BaseException) -> DataRow | None:
    """Return the row that the innermost function was working on when `error` was raised."""
    found, step = None, error.__traceback__
    while step is not None:
        rows = [value for value in step.tb_frame.f_locals.values() if isinstance(value, DataRow)]
        found, step = (rows[-1] if rows else found), step.tb_next
    return found

"""The kind of item that each data set holds, and the check that a metric accepts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from pytest_llmsafety import types
from pytest_llmsafety.datasets import DATASETS
from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.types import Item


def item_kind(name: str) -> type[Item]:
    """Return the kind of item that a data set of the table holds, which its `load` declares."""
    known = {**vars(types), "DataSource": DataSource}
    kind: type[Item] = get_args(get_type_hints(DATASETS.load(name).load, known)["return"])[0]
    return kind


def fitting(*kinds: type[Item]) -> list[str]:
    """Return the sorted names of the data sets that hold items of one of these kinds."""
    return sorted(name for name in DATASETS.table if issubclass(item_kind(name), kinds))


def require_items(name: str, metric: Any, dataset: str, items: Sequence[Item]) -> None:  # noqa: ANN401 - a class, or what a third party makes one with
    """Raise ConfigurationError unless the metric of the measurement `name` takes every item."""
    odd = next((item for item in items if not isinstance(item, metric.takes)), None)
    if odd is None:
        return
    kinds = get_args(metric.takes) or (metric.takes,)
    message = (
        f"{name} cannot be measured on {dataset}: its item '{odd.id}' is a {type(odd).__name__}, "
        f"and the metric {metric.name} needs {' or '.join(kind.__name__ for kind in kinds)}. "
        f"Data sets that fit: {', '.join(fitting(*kinds)) or 'none of this package'}. "
        f'Name one: measure("{name}", dataset="...").'
    )
    raise ConfigurationError(message)

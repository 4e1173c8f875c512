"""What kind of item each known data set holds, and whether that is what a metric takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args

from pytest_llmsafety import types
from pytest_llmsafety.datasets import DATASETS
from pytest_llmsafety.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.types import Item

RETURNED = re.compile(r"tuple\[(\w+), \.\.\.\]")


def holds(name: str) -> type[Item]:
    """The kind of item that a data set of the table holds, which its `load` declares."""
    declared = RETURNED.fullmatch(DATASETS.load(name).load.__annotations__["return"])
    kind: type[Item] = getattr(types, declared[1] if declared else "Item")
    return kind


def fitting(*kinds: type[Item]) -> list[str]:
    """The data sets of the table that hold items of one of these kinds, sorted."""
    return sorted(name for name in DATASETS.table if issubclass(holds(name), kinds))


def require_items(name: str, metric: Any, dataset: str, items: Sequence[Item]) -> None:  # noqa: ANN401 - a class, or what a third party makes one with
    """Raise ConfigurationError unless a metric takes every item of a data set.

    `name` is the measurement's. A metric that does not state what it takes is asked anything.
    """
    takes = getattr(metric, "takes", types.Item)
    odd = next((item for item in items if not isinstance(item, takes)), None)
    if odd is None:
        return
    kinds = get_args(takes) or (takes,)
    message = (
        f"{name} cannot be asked on {dataset}: '{odd.id}' there is of the kind "
        f"{type(odd).__name__}, and the metric {metric.name} needs "
        f"{' or '.join(kind.__name__ for kind in kinds)}. "
        f"Data sets that fit: {', '.join(fitting(*kinds)) or 'none that is known'}. "
        f'Name one: measure("{name}", dataset="...").'
    )
    raise ConfigurationError(message)

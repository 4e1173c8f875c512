"""Dataclasses as plain JSON values, and back by the types of their fields."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from enum import Enum
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

SCALARS: dict[Any, tuple[type, ...]] = {
    bool: (bool,),
    float: (float, int),
    int: (int,),
    str: (str,),
    type(None): (type(None),),
}
"""The types that JSON gives for a field of each scalar type."""
SHOWN = 40


def to_plain(value: Any) -> Any:  # noqa: ANN401 - any field of a dataclass
    """Return dataclasses as dicts, tuples as lists and enums as their values, all the way down."""
    if type(value) in SCALARS:
        return value
    if isinstance(value, (list, tuple)):
        if SCALARS.keys() >= set(map(type, value)):  # long rows of token ids and probabilities
            return [*value]
        return [*map(to_plain, value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    return value.value if isinstance(value, Enum) else value


def from_plain(kind: Any, value: Any, *named: type) -> Any:  # noqa: ANN401 - an instance of `kind`
    """Return the instance of `kind` that `to_plain` made `value` of.

    `kind` is a dataclass, an enum, a scalar, or a tuple or union of these. `named` are classes
    that a module imports for type checkers only, and its dataclasses name as types of fields.
    Fields that `value` lacks get their defaults. Raises TypeError or ValueError for anything else.
    """
    if kind in SCALARS:
        if type(value) in SCALARS[kind]:
            return value
    elif dataclasses.is_dataclass(kind):
        if isinstance(value, dict):
            return _instance(kind, value, named)
    elif isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    elif get_origin(kind) is tuple:
        if isinstance(value, list):
            return _tuple(get_args(kind), value, named)
    else:
        return _one_of(get_args(kind), value, named)
    message = f"{str(value)[:SHOWN]!r} is of the type {type(value).__name__}, not {kind}"
    raise TypeError(message)


@cache
def field_types(kind: type, named: tuple[type, ...] = ()) -> dict[str, Any]:
    """Return the type of each field of a dataclass; `named` as in `from_plain`."""
    return get_type_hints(kind, localns={one.__name__: one for one in named})


def _instance(kind: Any, fields: dict[str, Any], named: tuple[type, ...]) -> Any:  # noqa: ANN401 - of `kind`
    types = field_types(kind, named)
    unknown = fields.keys() - types.keys()
    if unknown:
        message = f"{kind.__name__} has no field '{min(unknown)[:SHOWN]}'"
        raise TypeError(message)
    return kind(**{name: from_plain(types[name], one, *named) for name, one in fields.items()})


def _tuple(kinds: tuple[Any, ...], values: list[Any], named: tuple[type, ...]) -> tuple[Any, ...]:
    if Ellipsis not in kinds:
        pairs = zip(kinds, values, strict=True)
        return tuple(from_plain(kind, value, *named) for kind, value in pairs)
    if set(map(type, values)).issubset(SCALARS.get(kinds[0], ())):  # long rows of numbers
        return tuple(values)
    return tuple(from_plain(kinds[0], value, *named) for value in values)


def _one_of(kinds: tuple[Any, ...], value: Any, named: tuple[type, ...]) -> Any:  # noqa: ANN401 - of one of `kinds`
    for kind in kinds[:-1]:
        with suppress(TypeError, ValueError):
            return from_plain(kind, value, *named)
    return from_plain(kinds[-1], value, *named)

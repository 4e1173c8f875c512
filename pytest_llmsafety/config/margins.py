"""Read the margins that a run gives in place of those in suites, and find the unused ones.

Where several margins are given, `Margins.of` in specs.py decides which one counts.
"""

from __future__ import annotations

import difflib
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING

from pytest_llmsafety.config import values
from pytest_llmsafety.errors import ConfigurationError, UnknownNameError
from pytest_llmsafety.specs import Margins

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    ByName = dict[str, float]
    ByGroup = dict[tuple[str, str], float]

TABLE = "[tool.llmsafety.margins]"
OTHERS = ("flips", "agreement", "ratio")
"""Quantities of a measurement other than its score; their margins have keys like `NAME.flips`."""
DEFAULT = "default"
"""The key of a measurement's own margin in its table, which groups without one use, too."""


def read_margins(project: Mapping[str, object], given: Sequence[tuple[str, float]]) -> Margins:
    """Return the margins of pyproject.toml and those `given` on the command line.

    Of two flags with the same key the last one counts. Raises ConfigurationError that names the
    place of a margin that cannot be read.
    """
    by_key, by_group = _from_project(project)
    return Margins(
        flags=tuple(sorted(dict(given).items())),
        file=tuple(sorted(by_key.items())),
        groups=tuple(sorted((name, group, margin) for (name, group), margin in by_group.items())),
    )


def unused(margins: Margins, used: Collection[str], judged: Collection[str]) -> tuple[str, ...]:
    """Return `KEY=MARGIN` of each margin that was meant for this run and that no assertion used.

    A margin of the command line is meant for every run; one of pyproject.toml is where the run
    judged its measurement. `used` holds the keys that assertions applied, `NAME GROUP` for the
    margin of a group; `judged` holds the names of the measurements.
    """
    keys = {key for name in judged for key in (name, *(f"{name}.{other}" for other in OTHERS))}
    keys |= dict(margins.flags).keys()
    rows = [(name, name, value) for name, value in margins.by_key]
    rows += [(name, f"{name} {group}", value) for name, group, value in margins.by_group]
    return tuple(
        f"{key}={value:g}" for name, key, value in rows if name in keys and key not in used
    )


def read_margin(where: str, value: object) -> float:
    """Return a margin that stands at `where`. Raises ConfigurationError that names it."""
    try:
        return values.margin(str(value))  # True is no number
    except ArgumentTypeError as error:
        message = f"{where}: {error}"
        raise ConfigurationError(message) from None


def _from_project(project: Mapping[str, object]) -> tuple[ByName, ByGroup]:
    """The margins by key and by group of `NAME = VALUE`, `NAME.flips = VALUE`, and `[NAME]`."""
    by_name: ByName = {}
    by_group: ByGroup = {}
    for name, value in project.items():
        if not isinstance(value, dict):
            by_name[name] = read_margin(f"{TABLE} {name}", value)
            continue
        for group, margin in value.items():
            read = read_margin(f"{TABLE[:-1]}.{name}] {group}", margin)
            if group == DEFAULT:
                by_name[name] = read
            elif group in OTHERS:
                by_name[f"{name}.{group}"] = read
            elif difflib.get_close_matches(group, [DEFAULT], cutoff=0.75):
                kind = f"key in {TABLE[:-1]}.{name}]:"
                raise UnknownNameError(kind, group, [DEFAULT])
            else:
                by_group[name, group] = read
    return by_name, by_group

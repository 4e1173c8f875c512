"""Margins that replace those of the suites: of a measurement, and of single groups in it."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_llmsafety.errors import ConfigurationError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    ByName = dict[str, float]
    ByGroup = dict[tuple[str, str], float]

TABLE = "[tool.llmsafety.margins]"
OTHERS = ("flips", "agreement", "ratio")
"""Quantities of a measurement other than its score; the key of their margin is `NAME.flips`."""
DEFAULT = "default"
"""In the table of one measurement: the margin of the whole, and of groups that have none."""


@dataclass(frozen=True)
class Margins:
    """Margins by measurement, and by group of one: (measurement, group, margin).

    A key `qa.flips` is of another quantity of the measurement `qa` than its score. `fixed` are the
    keys whose margin the command line gives.
    """

    by_name: tuple[tuple[str, float], ...] = ()
    by_group: tuple[tuple[str, str, float], ...] = ()
    fixed: frozenset[str] = frozenset()


def read_margins(project: Mapping[str, object], given: Sequence[str]) -> Margins:
    """Join the margins of pyproject.toml with those of the command line, which win.

    A margin on the command line is one of the whole measurement, so it replaces those of groups.
    Raises ConfigurationError that names the place.
    """
    by_name, by_group = _from_project(project)
    fixed = dict(map(_from_command_line, given))
    by_group = {key: margin for key, margin in by_group.items() if key[0] not in fixed}
    return Margins(
        tuple(sorted({**by_name, **fixed}.items())),
        tuple(sorted((name, group, margin) for (name, group), margin in by_group.items())),
        frozenset(fixed),
    )


def unused(margins: Margins, used: Collection[str], judged: Collection[str]) -> tuple[str, ...]:
    """Return the margins that no assertion used and that were meant for this run.

    Those of the command line always are; those of a file where it is about a measurement among
    the `judged` ones. `used` are the keys that were applied, `NAME GROUP` for a group's.
    """
    rows = [(name, name, value) for name, value in margins.by_name]
    rows += [(name, f"{name} {group}", value) for name, group, value in margins.by_group]
    told = []
    for name, key, value in rows:
        meant = name in margins.fixed or any(name in {one, *_others(one)} for one in judged)
        if meant and key not in used:
            told.append(f"{key}={value:g}")
    return tuple(told)


def _others(name: str) -> list[str]:
    """The keys of a measurement's other quantities."""
    return [f"{name}.{other}" for other in OTHERS]


def read_margin(where: str, value: object) -> float:
    """Read one margin: a positive, finite number."""
    try:
        margin = math.nan if isinstance(value, bool) else float(str(value))
    except ValueError:
        margin = math.nan
    if not 0 < margin < math.inf:
        message = f"{where}: expected a number above 0 such as 0.02, got '{value}'"
        raise ConfigurationError(message)
    return margin


def _from_project(project: Mapping[str, object]) -> tuple[ByName, ByGroup]:
    """Read `NAME = VALUE`, `NAME.flips = VALUE`, and the tables `[NAME]` of groups."""
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


def _from_command_line(text: str) -> tuple[str, float]:
    """Read `NAME=VALUE`."""
    name, equals, value = text.partition("=")
    if not (name.strip() and equals):
        message = f"--llmsafety-margin: expected NAME=VALUE such as toxicity=0.02, got '{text}'"
        raise ConfigurationError(message)
    return name.strip(), read_margin(f"--llmsafety-margin {name.strip()}", value)

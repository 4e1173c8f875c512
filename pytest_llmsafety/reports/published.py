"""Replace the paths in a run by the names of their files, so that it can be published."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any

from pytest_llmsafety.config.options import FLAGS

PATH = re.compile(
    r"(?<![^\s:,='\"(\[])"  # at the start of a word or of a value
    r"(?:(?:file|local)://|(?=[~./]|[A-Za-z]:[\\/]))"
    r"(?:(?:~[\w.-]*|\.{1,2})?/(?!/)|[A-Za-z]:[\\/])[^\s:,+'\"()]+"
)
"""A path that does not begin with the name of a folder; neither a URL nor a fraction."""
PLACES = re.compile(
    rf"--llmsafety-(?:(?:{'|'.join(flag.name for flag in FLAGS if flag.place and flag.in_command)})"
    r"=(?!core$|off$|hub:|(?!file:|local:)[a-z0-9]+://)|(?:scorer|judge)=(?=[~./]|[A-Za-z]:[\\/]))"
)
"""Flags with a file or folder of this machine as their value."""
COMMANDS = ("reproduce", "command")
"""Fields that hold a shell command."""


def named(text: str) -> str:
    """Return `text` with each path of this machine replaced by the name of its file."""
    return PATH.sub(lambda path: re.split(r"[\\/]", path[0].rstrip("\\/"))[-1], text)


def command(text: str) -> str:
    """Return a command without flags that name files of this machine, and with its model's name."""
    try:
        words = shlex.split(text)
    except ValueError:
        return named(text)
    return shlex.join(_word(word) for word in words if not PLACES.match(word))


def of(value: Any) -> Any:  # noqa: ANN401 - whatever is in a report
    """Return a part of a report, such as a verdict, with names for paths in all its texts."""
    if isinstance(value, str):
        return value if isinstance(value, Enum) else named(value)
    if isinstance(value, tuple):
        return tuple(map(of, value))
    if not is_dataclass(value) or isinstance(value, type):
        return value
    parts = {field.name: getattr(value, field.name) for field in fields(value)}
    return replace(value, **{
        name: command(part) if name in COMMANDS else of(part) for name, part in parts.items()
    })  # fmt: skip


def _word(word: str) -> str:
    """Return one word of a command; the value of a flag may be a path with blanks."""
    flag, equals, value = word.rpartition("=")
    blank = PATH.match(value) and " " in value and ":" not in value
    return flag + equals + (re.split(r"[\\/]", value)[-1] if blank else named(value))

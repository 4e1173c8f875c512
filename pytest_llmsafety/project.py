"""What a project states for every run: `[tool.llmsafety]` of its pyproject.toml."""

from __future__ import annotations

import difflib
import os
import re
import sys
from pathlib import Path
from typing import Any

from pytest_llmsafety.errors import ConfigurationError, UnknownNameError
from pytest_llmsafety.options import FLAGS, OFF, REPEATED, SWITCHES
from pytest_llmsafety.specs import CORE

NAME = "llmsafety"
TABLE = f"[tool.{NAME}]"
MARGINS = "margins"
KEYS = FLAGS.keys() - {"margin", *SWITCHES} | {MARGINS}
"""Flags under their names; not those that say what this one run is for."""
LISTS = ("compress", *REPEATED[1:])
PLACES = ("data", "cache", "report", "scorer-accuracy", "baseline", "calibration")
"""Keys that name a file or folder, or else what ELSEWHERE matches."""
ELSEWHERE = re.compile(rf"{CORE}|{OFF}|~.*|hub:.*|[\w+.-]+://.*|[\w+.-]+::.*")
"""A word, a home folder, a table of the hub, a URL."""
RELATIVE = re.compile(r"(^|[:,=])(?=\.\.?/)")


def read_project(path: Path) -> dict[str, Any]:
    """The table as texts by flag name, and the raw margins; empty where there is none.

    Relative paths count from the folder of the file. Raises ConfigurationError for a file that
    cannot be read, an unknown key or a value that is no text, number or list of texts.
    """
    if not path.is_file():
        return {}
    table = _table(path)
    root = Path(os.path.relpath(path.parent))
    texts: dict[str, Any] = {}
    for key, value in table.items():
        if key == "confidence":
            message = f"{TABLE} confidence: write alpha, which is 1 - confidence."
            raise ConfigurationError(message)
        if key in SWITCHES:
            message = f"{TABLE} {key}: it says what one run is for. Give --llmsafety-{key} there."
            raise ConfigurationError(message)
        if key not in KEYS:
            kind = f"key in {TABLE} of {path.name}:"
            raise UnknownNameError(kind, key, KEYS)
        texts[key] = value if key == MARGINS else _text(key, value, root)
    if not isinstance(texts.get(MARGINS, {}), dict):
        message = f"{TABLE} {MARGINS}: expected a table such as [tool.llmsafety.margins]."
        raise ConfigurationError(message)
    return texts


def _table(path: Path) -> dict[str, Any]:
    """The table of the file, if it has one."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # pytest brings it where Python does not
    try:
        tools = tomllib.loads(path.read_text("utf-8")).get("tool", {})
    except ValueError as error:
        message = f"cannot read '{path}': {error}. Expected TOML; mend the file."
        raise ConfigurationError(message) from error
    for name in tools:
        if name != NAME and difflib.get_close_matches(name, [NAME, f"pytest-{NAME}"], cutoff=0.85):
            message = f"'{path}' has a table [tool.{name}]. Did you mean {TABLE}?"
            raise ConfigurationError(message)
    table = tools.get(NAME, {})
    if not isinstance(table, dict):
        message = f"'{path}': expected the table {TABLE}, got tool.llmsafety = {table!r}"
        raise ConfigurationError(message)
    return table


def _text(key: str, value: object, root: Path) -> str | list[str]:
    """A value as the flag of that name has it."""
    if value == []:
        message = f"{TABLE} {key} is empty. Give it a value, or leave it out."
        raise ConfigurationError(message)
    if isinstance(value, list) and key in LISTS and all(isinstance(each, str) for each in value):
        texts = [_from(root, key, each) for each in value]
        return ",".join(texts) if key == "compress" else texts
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        kind = "a text or a list of texts" if key in LISTS else "a text or a number"
        message = f"{TABLE} {key}: expected {kind}, got {value!r}"
        raise ConfigurationError(message)
    text = _from(root, key, str(value))
    return [text] if key in REPEATED else text


def _from(root: Path, key: str, text: str) -> str:
    """`text` with the paths in it counted from `root`; unchanged where pytest runs there."""
    if root == Path():
        return text
    if key in PLACES:
        return text if ELSEWHERE.fullmatch(text) else str(root / text)
    return RELATIVE.sub(lambda found: f"{found[1]}{root.as_posix()}/", text)

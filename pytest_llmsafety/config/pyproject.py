"""What a project states for every run: `[tool.llmsafety]` of its pyproject.toml."""

from __future__ import annotations

import difflib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.config.options import FLAGS, OFF, REPEATED, SWITCHES
from pytest_llmsafety.errors import ConfigurationError, UnknownNameError
from pytest_llmsafety.paths import start_folder
from pytest_llmsafety.specs import CORE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NAME = "llmsafety"
TABLE = f"[tool.{NAME}]"
FILE = "pyproject.toml"
REQUIRE = f"{NAME}_require"
"""The one setting that pytest's own configuration holds."""
MARGINS = "margins"
KEYS = FLAGS.keys() - {"margin", *SWITCHES} | {MARGINS}
"""Flags under their names; not those that say what this one run is for."""
LISTS = {"compress", *REPEATED} - {"margin"}
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
    root = Path(os.path.relpath(path.parent, start_folder()))
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


def policy_files(start: Path, others: Sequence[Path] = ()) -> list[Path]:
    """Return the files that state TABLE: from `start` upwards, the nearest first, then `others`.

    The first one counts. Raises ConfigurationError for a table that is spelled otherwise.
    """
    near = [folder / FILE for folder in (start, *start.parents)]
    return [path for path in dict.fromkeys([*near, *others]) if path.is_file() and _states(path)]


def check_sections(path: Path) -> None:
    """Raise ConfigurationError for a section of an ini file, or a key of pytest's, meant for us."""
    from iniconfig import IniConfig, ParseError

    text = path.read_text("utf-8", "replace")
    if NAME not in text.lower():
        return
    try:
        sections = IniConfig(str(path), text).sections
    except ParseError:
        return  # pytest reads it, too, and says what is wrong
    for name, keys in sections.items():
        _refuse_misspelled(path, name, re.sub(r"^(tool|pytest)[:.]", "", name))
        if name in ("pytest", "tool:pytest"):
            _refuse_keys(path, keys)


def check_toml(path: Path) -> None:
    """Raise ConfigurationError for a table or key in a TOML file that is spelled otherwise."""
    _tables(path)


def _states(path: Path) -> bool:
    """Whether a pyproject.toml has the table; a file that is not TOML matters where it names us."""
    try:
        return NAME in _tables(path).get("tool", {})
    except ConfigurationError as error:
        if isinstance(error.__cause__, ValueError) and NAME not in path.read_bytes().lower().decode(
            "utf-8", "replace"
        ):
            return False
        raise


def _table(path: Path) -> dict[str, Any]:
    """The table of the file, if it has one."""
    table: object = _tables(path).get("tool", {}).get(NAME, {})
    if not isinstance(table, dict):
        message = f"'{path}': expected the table {TABLE}, got tool.llmsafety = {table!r}"
        raise ConfigurationError(message)
    return table


def _tables(path: Path) -> dict[str, Any]:
    """The contents of a TOML file, in which no table of ours is spelled otherwise."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # pytest brings it where Python does not
    try:
        contents: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        message = f"cannot read '{path}': {error}. Expected TOML; mend the file."
        raise ConfigurationError(message) from error
    tools = contents.get("tool", {})
    of_pytest = contents.get("pytest", {}), tools.get("pytest", {})
    options = [table.get("ini_options", {}) for table in of_pytest if isinstance(table, dict)]
    for parent, tables in (("", contents), ("tool.", tools)):
        for name in tables:
            if parent + name != f"tool.{NAME}":
                _refuse_misspelled(path, parent + name, name)
    for tables in (*of_pytest, *options):
        for name, value in tables.items() if isinstance(tables, dict) else ():
            if isinstance(value, dict):
                _refuse_misspelled(path, f"tool.pytest.{name}", name)
        _refuse_keys(path, tables)
    return contents


def _refuse_misspelled(path: Path, whole: str, name: str) -> None:
    """Raise ConfigurationError for a table whose name is meant to be ours."""
    known = [NAME, f"pytest-{NAME}"]
    if difflib.get_close_matches(name.lower(), known, cutoff=0.85):
        place = "" if path.name == FILE else f" of {FILE}"
        message = f"'{path}' has a table [{whole}]. Did you mean {TABLE}{place}?"
        raise ConfigurationError(message)


def _refuse_keys(path: Path, keys: Iterable[str]) -> None:
    """Raise ConfigurationError for a setting of ours among those of pytest."""
    for key in keys:
        if key.lower().startswith(NAME) and key != REQUIRE:
            message = (
                f"'{path}' has the key '{key}' among pytest's own, where it is not read. Expected "
                f"{REQUIRE} there, or a key of {TABLE} in {FILE}."
            )
            raise ConfigurationError(message)


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

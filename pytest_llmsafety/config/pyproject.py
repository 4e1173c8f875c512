"""The settings of a project for all its runs: `[tool.llmsafety]` of its pyproject.toml."""

from __future__ import annotations

import difflib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.config.options import FLAGS, OFF, TABLE
from pytest_llmsafety.errors import ConfigurationError, UnknownNameError
from pytest_llmsafety.paths import start_folder
from pytest_llmsafety.specs import CORE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_llmsafety.config.options import Flag

NAME = "llmsafety"
FILE = "pyproject.toml"
REQUIRE = f"{NAME}_require"
"""The only key of ours in pytest's own settings."""
MARGINS = "margins"
KEYS = {flag.name: flag for flag in FLAGS if flag.in_project}
ELSEWHERE = re.compile(rf"{CORE}|{OFF}|~.*|hub:.*|[\w+.-]+://.*|[\w+.-]+::.*")
"""Values of a flag for a place that do not count from a folder: words, home folders, URLs."""
RELATIVE = re.compile(r"(^|[:,=])(?=\.\.?/)")


def read_project(path: Path) -> dict[str, Any]:
    """Return the values of flags that the table states, and its raw margins; {} without a table.

    Relative paths count from the folder of the file. Raises ConfigurationError for a file that
    cannot be read, an unknown key or a value that its flag does not take.
    """
    if not path.is_file():
        return {}
    table = _table(path)
    root = Path(os.path.relpath(path.parent, start_folder()))
    found: dict[str, Any] = {}
    switches = {flag.name for flag in FLAGS if flag.switch}
    for key, value in table.items():
        if key == "confidence":
            message = f"{TABLE} confidence: write alpha, which is 1 - confidence."
            raise ConfigurationError(message)
        if key in switches:
            message = f"{TABLE} {key}: it is for one run. Give --llmsafety-{key} there."
            raise ConfigurationError(message)
        if key != MARGINS and key not in KEYS:
            kind = f"key in {TABLE} of {path.name}:"
            raise UnknownNameError(kind, key, [*KEYS, MARGINS])
        found[key] = value if key == MARGINS else _value(KEYS[key], value, root)
    if not isinstance(found.get(MARGINS, {}), dict):
        message = f"{TABLE} {MARGINS}: expected a table such as [tool.llmsafety.margins]."
        raise ConfigurationError(message)
    return found


def policy_files(start: Path, others: Sequence[Path] = ()) -> list[Path]:
    """Return the files with TABLE, the nearest to `start` first, then `others`; the first counts.

    Raises ConfigurationError for a table that is spelled otherwise.
    """
    near = [folder / FILE for folder in (start, *start.parents)]
    return [path for path in dict.fromkeys([*near, *others]) if path.is_file() and _states(path)]


def check_sections(path: Path) -> None:
    """Raise ConfigurationError for a section or key of ours in an ini file, where none is read."""
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
    """Whether a pyproject.toml has the table; one that is not TOML is an error if it names us."""
    try:
        return NAME in _tables(path).get("tool", {})
    except ConfigurationError as error:
        if isinstance(error.__cause__, ValueError) and NAME not in path.read_bytes().lower().decode(
            "utf-8", "replace"
        ):
            return False
        raise


def _table(path: Path) -> dict[str, Any]:
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
        message = f"cannot read '{path}': {error}. Expected TOML. Repair the file."
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


def _value(flag: Flag, value: object, root: Path) -> Any:  # noqa: ANN401 - as its flag reads it
    where = f"{TABLE} {flag.name}"
    listed = flag.repeated or flag.separator
    if value == []:
        message = f"{where} is empty. Give it a value, or leave it out."
        raise ConfigurationError(message)
    if isinstance(value, list) and listed and all(isinstance(each, str) for each in value):
        texts = [_from(root, flag, each) for each in value]
        return flag.read(texts if flag.repeated else [flag.separator.join(texts)], where)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        kind = "a text or a list of texts" if listed else "a text or a number"
        message = f"{where}: expected {kind}, got {value!r}"
        raise ConfigurationError(message)
    return flag.read([_from(root, flag, str(value))], where)


def _from(root: Path, flag: Flag, text: str) -> str:
    """`text` with the paths in it counted from `root`; unchanged where pytest runs there."""
    if root == Path():
        return text
    if flag.place:
        return text if ELSEWHERE.fullmatch(text) else str(root / text)
    return RELATIVE.sub(lambda found: f"{found[1]}{root.as_posix()}/", text)

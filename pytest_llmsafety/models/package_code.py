"""A digest of the code of this package that computes answers, wherever its files lie."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
NAME = PACKAGE.name
# What computes an answer lies in these two packages, or is imported from there, directly or not.
# Imports are followed, so nobody keeps a list of files: types, specs and models are found so.
# The engine, metrics and data sets are not: what they decide is part of the request.
ROOMS = ("compressors", "inference/backends")
TOKEN = re.compile(
    r"""\#[^\n]*
    | \"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3}
    | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""",
    re.DOTALL | re.VERBOSE,
)
"""A comment or a string; strings of Python 3.10, which hold no quotes of their own kind."""
STRING_NUMBER = re.compile(r"\0(\d+)\0")
LONE_STRING = re.compile(r"\s*[rR]?\0\d+\0\s*")
IMPORT = re.compile(rf"^[ ]*from ({NAME}[\w.]*) import (\([^)]*\)|.*)\n", re.MULTILINE)
PLACE = re.compile(rf'{NAME}(?:\.\w+)+|f(?="\{{\w+\}}(?:\.\w+)+:)|(?<=")\{{\w+\}}(?:\.\w+)+(?=:)')
"""Where a table says that a class lies: "package.module" or f"{PACKAGE}.module"."""


@cache
def package_digest(package: Path = PACKAGE) -> str:
    """Return the SHA-256 of all modules that can change an answer, in hex.

    It stays the same when a module moves to another folder or name, when imports are sorted in
    another way, and when a comment or docstring changes. A text file that a module names counts
    by its content.
    """
    texts: dict[Path, str] = {}
    seen: set[str] = set()
    waiting = [path for room in ROOMS for path in (package / room).rglob("*.py")]
    while waiting:
        path = waiting.pop()
        if path not in texts:
            texts[path], imported = _without_places(path.read_text("utf-8"))
            waiting += filter(None, (_file_of(module, package) for module in imported - seen))
            seen |= imported
    everything = "\n".join(texts.values())
    data = [path for path in package.rglob("*.txt") if f'"{path.name}"' in everything]
    contents = {*texts.values(), *(path.read_text("utf-8") for path in data)} - {""}
    digests = sorted(hashlib.sha256(text.encode()).hexdigest() for text in contents)
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _file_of(module: str, package: Path) -> Path | None:
    place = package.joinpath(*module.split(".")[1:])
    files = (place.with_name(f"{place.name}.py"), place / "__init__.py")
    return next((file for file in files if place != package and file.is_file()), None)


def _without_places(source: str) -> tuple[str, set[str]]:
    """Return a source without comments, docstrings and own modules' places, and those modules."""
    strings: list[str] = []

    def numbered(found: re.Match[str]) -> str:
        if found[0].startswith("#"):
            return ""
        strings.append(found[0])
        return f"\0{len(strings) - 1}\0"

    text = _statements(TOKEN.sub(numbered, source))
    modules: set[str] = set()
    names: list[str] = []
    for module, listed in IMPORT.findall(text):
        here = [name.strip() for name in listed.strip("()").split(",") if name.strip()]
        modules |= {module, *(f"{module}.{name.split()[0]}" for name in here)}
        names += here
    text = STRING_NUMBER.sub(lambda number: strings[int(number[1])], IMPORT.sub("", text))
    modules |= {*PLACE.findall(text)}
    return "\n".join([PLACE.sub("", text), *sorted(names)]).strip(), modules


def _statements(text: str) -> str:
    """Return the lines of a source whose strings are numbers, without docstrings and blank lines.

    A string that is a whole statement is a docstring; within brackets it is a value.
    """
    kept, depth = [], 0
    for line in text.split("\n"):
        is_docstring = depth == 0 and LONE_STRING.fullmatch(line)
        if line.strip() and not is_docstring:
            kept.append(line.rstrip())
        depth += sum(map(line.count, "([{")) - sum(map(line.count, ")]}"))
    return "\n".join(kept) + "\n"

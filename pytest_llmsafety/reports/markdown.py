"""Write Markdown in which text of models and data sets stays text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_llmsafety.escapes import escaped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
MARKS = {mark: f"\\{mark}" for mark in "\\`*_[]~#$"}
SPECIAL = str.maketrans(ENTITIES | MARKS)
NO_WIDTH = "&#8203;"  # an invisible space, which ends what would become a link or a mention
REFERENCE = re.compile(r"@|#(?=\d)|:(?=//)|www(?=\.)", re.IGNORECASE)


def text(plain: str) -> str:
    """Return `plain` as Markdown on one line, to be used anywhere except at the start of a line.

    It becomes no HTML, emphasis, link, mention, reference or table cell on GitHub, GitLab or the
    Hugging Face hub; control and direction characters are written out.
    """
    parts, end = [], 0
    for found in REFERENCE.finditer(shown := escaped(plain)):
        parts += [shown[end : found.end()].translate(SPECIAL), NO_WIDTH]
        end = found.end()
    return "".join([*parts, shown[end:].translate(SPECIAL)])


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, left: int) -> list[str]:
    """Return a table of plain texts; the first `left` columns and the last are aligned left."""
    middle = len(header) - left - 1
    lines = [header, *rows]
    ruler = [":--"] * left + ["--:"] * middle + [":--"]
    cells = [list(map(text, line)) for line in lines]
    return [f"| {' | '.join(line)} |" for line in (cells[0], ruler, *cells[1:])]


def bullets(lines: Iterable[str]) -> list[str]:
    """Return a list of plain texts, none of which begins a heading or another list."""
    return [f"- {text(line)}" for line in lines]


def code(lines: Iterable[str]) -> list[str]:
    """Return a block of code that none of its lines can end."""
    inside = [escaped(line) for line in lines]
    longest = max(map(len, re.findall("`+", "\n".join(inside))), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *inside, fence]


def folded(name: str, lines: Iterable[str]) -> list[str]:
    """Return a part that a reader opens; `name` is not escaped."""
    return ["<details>", f"<summary>{name}</summary>", "", *lines, "", "</details>"]

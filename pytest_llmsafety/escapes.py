"""Text of others as a terminal or a log shows it, and as neither of them obeys it."""

from __future__ import annotations

import re

COMMAND = re.compile(r"##(?=\w*\[)")
"""`##[group]` and `##vso[...]` are commands to GitHub and Azure anywhere in a line of a log."""
COMMAND_LINE = re.compile(r"^(\s*):(?=:)")
"""`::set-output ...` is one at the start of a line."""


def plain(text: str) -> str:
    """Return lines that a terminal or a CI's log shows and does not obey."""
    return "\n".join(map(_line, text.split("\n")))


def escaped(text: str) -> str:
    """Return text with control and direction marks written out, line ends among them."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _line(line: str) -> str:
    return COMMAND_LINE.sub(r"\1\\x3a", COMMAND.sub(r"#\\x23", escaped(line)))

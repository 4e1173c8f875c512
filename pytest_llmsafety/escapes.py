"""Escape texts of others, so that a terminal or a CI's log shows them and obeys none."""

from __future__ import annotations

import re

COMMAND = re.compile(r"##(?=\w*\[)")
"""GitHub and Azure obey `##[group]` and `##vso[...]` anywhere in a line of a log."""
COMMAND_LINE = re.compile(r"^(\s*):(?=:)")
"""GitHub obeys `::set-output ...` at the start of a line."""


def plain(text: str) -> str:
    """Return the text with control marks and commands of CIs escaped; line ends stay."""
    return "\n".join(map(_line, text.split("\n")))


def escaped(text: str) -> str:
    """Return the text with control and direction marks escaped, also line ends."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _line(line: str) -> str:
    return COMMAND_LINE.sub(r"\1\\x3a", COMMAND.sub(r"#\\x23", escaped(line)))

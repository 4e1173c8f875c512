"""Text of models, data sets and users as it is shown on a page: cut, and with nothing hidden."""

from __future__ import annotations

import unicodedata

from pytest_llmsafety.escapes import escaped

STACKED = 4
"""Marks that one letter may bear; more of them are drawn over the lines above and below."""


def told(text: str, room: int) -> str:
    """`text` with control and direction characters written out, in about `room` characters.

    Where it is cut, the number of characters that there were is added, if there is room to say.
    """
    start = text[: room + 1]
    if not (start.isascii() and start.isprintable()):
        start = _unstacked(escaped(start))
    if len(text) <= room and len(start) <= room:
        return start
    more = f" ... ({len(text):,} characters)"
    if room < 3 * len(more):
        return start[: room - 2] + ".."
    return start[:room] + more


def _unstacked(text: str) -> str:
    """`text` with the marks on a letter written out from the fifth on."""
    shown, marks = [], 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        shown.append(character if marks <= STACKED else f"\\u{ord(character):04x}")
    return "".join(shown)

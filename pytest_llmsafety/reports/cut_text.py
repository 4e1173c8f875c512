"""Cut the text of models, data sets and users for a page, and write out hidden characters."""

from __future__ import annotations

import unicodedata

from pytest_llmsafety.escapes import escaped

STACKED = 4
"""Marks on one letter; more of them would cover the lines above and below."""


def shortened(text: str, room: int) -> str:
    """Return `text` in about `room` characters, with control and direction characters written out.

    A text that is cut ends with its number of characters, where there is room for it.
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
    shown, marks = [], 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        shown.append(character if marks <= STACKED else f"\\u{ord(character):04x}")
    return "".join(shown)

"""Replace secrets in texts: a key in any spelling, and user, password and query of URLs."""

from __future__ import annotations

import base64
import re
from functools import lru_cache

HIDDEN = "***"
SHORTEST_KEY = 4
"""A shorter key is a placeholder for servers without keys, and may be a word of any text."""
SHORTEST_CODE = 6
USER = re.compile(r"(?<=://)[^\s/?#'\"<>]+(?=@)")
QUERY = re.compile(r"([a-z][a-z0-9+.-]*://[^\s?#'\"<>]*)\?[^\s#'\"<>]+", re.IGNORECASE)


def without_key(text: str, key: str) -> str:
    """Return `text` with `key` replaced, in any case and spelling.

    Spellings are those of JSON, URLs, HTML, hexadecimal digits, and base64 of a longer text.
    """
    return _pattern(key).sub(HIDDEN, text) if len(key) >= SHORTEST_KEY else text


def without_access(text: str) -> str:
    """Return `text` with the user, password and query of each address in it replaced."""
    return QUERY.sub(rf"\1?{HIDDEN}", USER.sub(HIDDEN, text))


@lru_cache(maxsize=8)
def _pattern(key: str) -> re.Pattern[str]:
    spelled = ["".join(map(_letter, key)), key.encode().hex(), *_in_base64(key.encode())]
    return re.compile("|".join(spelled), re.IGNORECASE)


def _letter(letter: str) -> str:
    """The pattern of one letter as it is, and as JSON, a URL or HTML may write it."""
    code = ord(letter)
    in_url = "".join(f"%{byte:02x}" for byte in letter.encode())
    return (
        rf"(?:\\*{re.escape(letter)}|{in_url}|\\+u{code:04x}|\\+x{code:02x}|&#0*{code};"
        rf"|&#x0*{code:x};{'|[+]' if letter == ' ' else ''})"
    )


def _in_base64(key: bytes) -> list[str]:
    """The patterns of a key in a base64 text, for each of the three offsets of its first byte."""
    found = []
    for before in range(3):
        digits = base64.b64encode(bytes(before) + key).decode().rstrip("=")
        inner = digits[-(-8 * before // 6) : 8 * (before + len(key)) // 6]
        if len(inner) >= SHORTEST_CODE:
            found.append(inner.replace("+", "[+-]").replace("/", "[/_]"))
    return found

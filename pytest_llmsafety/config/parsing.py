"""Numbers and words that options name, read from texts."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence


TAKEN = {
    "add_generation_prompt", "chat_template", "continue_final_message", "conversation",
    "documents", "max_length", "messages", "padding", "return_assistant_tokens_mask",
    "return_dict", "return_tensors", "sanitize_control_tokens", "self", "strftime_now", "tokenize",
    "tokenizer_kwargs", "tools", "truncation",
}  # fmt: skip
"""Arguments of a rendering that are not the user's to give."""
PYTHON = {"True": "true", "False": "false", "None": "null"}
"""Python's words, which as texts would all be true in a template."""


def read_whole(name: str, text: str | None, *, least: int) -> int | None:
    """Read a whole number that is at least `least`."""
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII) or int(text) < least:
        message = f"--llmsafety-{name}: expected a whole number from {least} on, got '{text}'"
        raise ConfigurationError(message)
    return int(text)


def read_word(name: str, text: str | None, known: Sequence[str]) -> str:
    """Read one of a few words; the first is the default."""
    if text is not None and text not in known:
        message = f"--llmsafety-{name}: expected {', '.join(known)}, got '{text}'"
        raise ConfigurationError(message)
    return text or known[0]


def read_alpha(text: str | None) -> float | None:
    """Read --llmsafety-alpha: from a half on a bound would be none."""
    try:
        alpha = None if text is None else float(text)
    except ValueError:
        alpha = math.nan
    if alpha is not None and not 0 < alpha < 1 / 2:
        message = f"--llmsafety-alpha: expected a number above 0 and below 0.5, got '{text}'"
        raise ConfigurationError(message)
    return alpha


def read_worst(text: str | None) -> float | None:
    """Read --llmsafety-worst: a share of the largest possible change."""
    try:
        worst = None if text is None else float(text)
    except ValueError:
        worst = math.nan
    if worst is not None and not 0 < worst <= 1:
        message = (
            f"--llmsafety-worst: expected a number above 0 and at most 1, got '{text}'. 1.0 "
            "assumes nothing of what was not seen."
        )
        raise ConfigurationError(message)
    return worst


def read_share(name: str, text: str | None, default: float) -> float:
    """Read a share from 0 to 1."""
    try:
        share = default if text is None else float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        message = f"--llmsafety-{name}: expected a number from 0 to 1 such as 0.8, got '{text}'"
        raise ConfigurationError(message)
    return share


def read_pins(*places: Sequence[str] | None) -> tuple[tuple[str, str], ...]:
    """Read --llmsafety-pin of all places; a later one of the same data set wins."""
    pins = dict(_pin(text) for place in places for text in place or ())
    return tuple(sorted(pins.items()))


def _pin(text: str) -> tuple[str, str]:
    """Read one NAME=DIGEST; the digest is as a report writes it, or `any`."""
    name, _, digest = text.rpartition("=")
    if not name or not re.fullmatch(r"any|[0-9a-f]{16}", digest):
        message = (
            f"--llmsafety-pin: expected NAME=DIGEST with the 16 hex digits of a report's "
            f"data_digest, or NAME=any, got '{text}'"
        )
        raise ConfigurationError(message)
    return name, digest


def read_arguments(name: str, *places: Sequence[str] | None) -> tuple[tuple[str, str], ...]:
    """Read NAME=VALUE of all places as (name, JSON); a later one of the same name wins.

    A value that is not JSON is a text. Names that the template gets anyway are refused.
    """
    given = dict(_argument(name, text) for place in places for text in place or ())
    return tuple(sorted(given.items()))


def _argument(flag: str, text: str) -> tuple[str, str]:
    """Read one NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier() or name in TAKEN:
        message = (
            f"--llmsafety-{flag}: expected NAME=VALUE with the name of an argument of the chat "
            f"template, such as enable_thinking=true or reasoning_effort=low, got '{text}'"
        )
        raise ConfigurationError(message)
    try:
        parsed = json.loads(PYTHON.get(value, value), parse_constant=_no_number)
    except ValueError:
        parsed = value
    return name, json.dumps(parsed, sort_keys=True)


def _no_number(text: str) -> float:
    """Refuse what JSON has no number for."""
    raise ValueError(text)


def refuse_empty(texts: dict[str, Any]) -> dict[str, Any]:
    """Return the texts; ConfigurationError for an empty one, as an unset variable of a CI is."""
    for name, text in texts.items():
        if isinstance(text, str) and not text.strip() and name not in {"model", "compress"}:
            flag = f"--{name}" if name in {"device", "dtype"} else f"--llmsafety-{name}"
            message = f"{flag} is empty. Give it a value, or leave it out."
            raise ConfigurationError(message)
    return texts

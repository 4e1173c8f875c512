"""The values of flags: functions that argparse calls with a text (`type=`), and files and folders.

A `type=` function raises argparse.ArgumentTypeError, which pytest turns into a usage error.
"""

from __future__ import annotations

import json
import math
import re
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING, NoReturn

from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.escapes import plain
from pytest_llmsafety.paths import user_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
NOT_FOR_USERS = {
    "add_generation_prompt", "chat_template", "continue_final_message", "conversation",
    "documents", "max_length", "messages", "padding", "return_assistant_tokens_mask",
    "return_dict", "return_tensors", "sanitize_control_tokens", "self", "strftime_now", "tokenize",
    "tokenizer_kwargs", "tools", "truncation",
}  # fmt: skip
"""Arguments of `apply_chat_template` that the engine sets itself."""
PYTHON = {"True": "true", "False": "false", "None": "null"}
"""Python's words, which as texts would all be true in a template."""


def word(text: str) -> str:
    """Return a text that is not empty, as an unset variable of a CI would be."""
    if not text.strip():
        message = "expected a value, got ''. Give one, or leave the flag out."
        raise ArgumentTypeError(message)
    return text


def whole(least: int) -> Callable[[str], int]:
    """Return the type of whole numbers that are at least `least`."""

    def read(text: str) -> int:
        if not re.fullmatch(r"\d{1,18}", text, re.ASCII) or int(text) < least:
            _refuse(f"a whole number from {least} on", text)
        return int(text)

    return read


def number(holds: Callable[[float], bool], expected: str) -> Callable[[str], float]:
    """Return the type of numbers for which `holds`; `expected` says which these are."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not holds(value):
            _refuse(expected, text)
        return value

    return read


margin = number(lambda value: 0 < value < math.inf, "a number above 0 such as 0.02")
alpha = number(lambda value: 0 < value < 1 / 2, "a number above 0 and below 0.5")
worst = number(lambda value: 0 < value <= 1, "a number above 0 and at most 1 (1.0 assumes nothing)")
share = number(lambda value: 0 <= value <= 1, "a number from 0 to 1 such as 0.8")


def named_margin(text: str) -> tuple[str, float]:
    """Read NAME=VALUE as a measurement, or a quantity of one, and its margin."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals):
        _refuse("NAME=VALUE such as toxicity=0.02", text)
    try:
        return name, margin(value)
    except ArgumentTypeError as error:
        message = f"{name}: {error}"
        raise ArgumentTypeError(message) from None


def pin(text: str) -> tuple[str, str]:
    """Read NAME=DIGEST as a data set and its digest."""
    name, _, digest = text.rpartition("=")
    if not name or not re.fullmatch(r"any|[0-9a-f]{16}", digest):
        digits = "NAME=DIGEST with the 16 hex digits of a report's data_digest, or NAME=any"
        _refuse(digits, text)
    return name, digest


def template_argument(text: str) -> tuple[str, str]:
    """Read NAME=VALUE as an argument of a chat template and its text."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier() or name in NOT_FOR_USERS:
        expected = (
            "NAME=VALUE with the name of an argument of the chat template, such as "
            "enable_thinking=true or reasoning_effort=low"
        )
        _refuse(expected, text)
    return name, value


def as_json(text: str) -> str:
    """Return a text as JSON: itself where it is JSON or a word of Python, else a JSON string."""
    try:
        value = json.loads(PYTHON.get(text, text), parse_constant=_not_json)
    except ValueError:
        value = text
    return json.dumps(value, sort_keys=True)


def device(text: str) -> str:
    """Read the name of a device."""
    if not DEVICE.fullmatch(text):
        _refuse("auto, cpu, cuda, cuda:N or mps", text)
    return text


def cache_folder(text: str | None) -> Path | None:
    """Return the folder for stored answers; None for `off`.

    The default is the folder `pytest-llmsafety` among the user's caches. Raises
    ConfigurationError where the text names a file, or the user has no home folder.
    """
    if text == "off":
        return None
    if text:
        return folder_to_write("cache", text, or_else=", or off")
    from platformdirs import user_cache_path

    try:
        return user_cache_path("pytest-llmsafety", appauthor=False)
    except RuntimeError as error:
        message = (
            "there is no folder for the cache: HOME is not set, and this user has no home folder. "
            "Name one with --llmsafety-cache=FOLDER, or say --llmsafety-cache=off."
        )
        raise ConfigurationError(message) from error


def folder_to_write(flag: str, text: str, *, or_else: str = "") -> Path:
    """Return a folder that need not exist yet. Raises ConfigurationError where a file is there."""
    folder = user_path(text)
    if folder.exists() and not folder.is_dir():
        message = f"--llmsafety-{flag}: '{text}' is a file. Expected a folder{or_else}."
        raise ConfigurationError(message)
    return folder


def existing_file(flag: str, text: str) -> Path:
    """Return the path of a file. Raises ConfigurationError where there is none."""
    path = user_path(text)
    if not path.is_file():
        message = f"--llmsafety-{flag}: there is no file '{text}'."
        raise ConfigurationError(message)
    return path


def existing_folder(flag: str, text: str, *, or_else: str = "") -> Path:
    """Return the path of a folder. Raises ConfigurationError where there is none."""
    folder = user_path(text)
    if not folder.is_dir():
        message = f"--llmsafety-{flag}: there is no folder '{text}'. Expected one{or_else}."
        raise ConfigurationError(message)
    return folder


def _refuse(expected: str, text: str) -> NoReturn:
    message = f"expected {expected}, got '{plain(text)}'"
    raise ArgumentTypeError(message)


def _not_json(text: str) -> NoReturn:
    raise ValueError(text)

"""Limits for a chat template that comes with a model: a template that loops is an error."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

MOST_LINES = 1_000_000
LONGEST_S = 10.0
LARGEST_FACTOR = 10_000
TEMPLATE = "<template>"  # what jinja2 calls the code of a template that is in no file


class EndlessTemplateError(ModelError):
    """A chat template that loops, or that would take all time or memory."""


@contextmanager
def bounded() -> Iterator[None]:
    """Stop a template that is rendered in the body after a million of its lines, or 10 seconds.

    Counts on this thread alone, and gives a debugger or a coverage tool its place back.
    """
    before, lines, end = sys.gettrace(), 0, time.monotonic() + LONGEST_S

    def count(_frame: FrameType, event: str, _argument: object) -> Any:  # noqa: ANN401 - itself
        nonlocal lines
        lines += event == "line"
        if lines > MOST_LINES or time.monotonic() > end:
            why = f"{lines:,} of its lines had run"
            raise _stopped(why)
        return count

    def enter(frame: FrameType, event: str, argument: object) -> Any:  # noqa: ANN401 - as above
        is_template = frame.f_code.co_filename == TEMPLATE
        return count(frame, event, argument) if is_template else None

    sys.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(before)


@cache
def check_arithmetic(template: str) -> None:
    """Raise EndlessTemplateError for powers, and for products with a huge number.

    These are computed in one step, which cannot be stopped and may take all memory. Stars before
    arguments (`f(*values, **named)`) are not arithmetic.
    """
    from jinja2 import Environment
    from jinja2.exceptions import TemplateError

    try:
        found = list(Environment(autoescape=True).lex(template))
    except TemplateError:
        return  # the rendering itself says why
    tokens = [(kind, text) for _, kind, text in found if kind not in {"whitespace", "data"}]
    starts = ("(", ",")
    for place, (kind, text) in enumerate(tokens):
        if kind != "operator" or text not in {"*", "**"} or tokens[place - 1][1] in starts:
            continue
        sides = [tokens[place - 1], *tokens[place + 1 : place + 2]]
        numbers = [value for side, value in sides if side == "integer"]
        if text == "**" or any(int(value, 0) > LARGEST_FACTOR for value in numbers):
            why = f"it computes {''.join(value for _, value in tokens[place - 1 : place + 2])}"
            raise _stopped(why)


def _stopped(why: str) -> EndlessTemplateError:
    return EndlessTemplateError(
        f"the model's chat template was not rendered to its end: {why}. Expected a template that "
        "writes a conversation. Remove its loops, or save the template of the original model."
    )

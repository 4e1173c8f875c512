"""Chat templates that loop are stopped, and others are rendered as ever."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from pytest_llmsafety.errors import ModelError
from pytest_llmsafety.inference.backends import template_limits as limits
from pytest_llmsafety.inference.backends.chat import ChatFormat
from pytest_llmsafety.inference.backends.template_limits import (
    EndlessTemplateError,
    bounded,
    check_arithmetic,
)
from pytest_llmsafety.types import Generate
from tests.stand_ins.random_models import letter_tokenizer

LOOPS = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
SLOW = "{% for i in range(99999) %}{{ range(99999)|sum }}{% endfor %}"
FINE = "{% for m in messages %}{{ '=' * 20 }}{{ m['content'] }}{% endfor %}"


def asked(template):
    """The ids of one request through a template."""
    tokenizer = letter_tokenizer()
    tokenizer.chat_template = template
    (read,) = ChatFormat(tokenizer, template).rendered([Generate("Why?", chat=True)])
    return read.ids


@pytest.mark.parametrize(
    "template",
    [
        LOOPS,
        "{% for i in range(10**9) %}{% endfor %}",
        "{% for i in range(1000000000) %}{% endfor %}",
        "{{ 'a' * 100000000000 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
    ],
)
def test_a_template_that_loops_is_an_error_in_seconds(template):
    """Nested loops, powers, huge products and recursion end in a sentence."""
    start = time.process_time()
    with pytest.raises(ModelError, match="chat template"):
        asked(template)
    assert time.process_time() - start < 5


def test_a_template_with_slow_lines_is_stopped_by_the_clock(monkeypatch):
    """Few lines may take long, too."""
    monkeypatch.setattr(limits, "LONGEST_S", 0.2)
    with pytest.raises(EndlessTemplateError, match="was not rendered to its end"):
        asked(SLOW)


def test_a_usual_template_is_rendered_as_ever():
    """Neither small products nor stars before arguments are touched."""
    tokenizer = letter_tokenizer()
    assert asked(FINE) == tokenizer("=" * 20 + "Why?", add_special_tokens=False)["input_ids"]
    check_arithmetic("{{ f(*values, **named) }}{{ g(**named) }} 2 ** 3 and 9 * 99999")
    check_arithmetic("{% broken")


def test_the_trace_of_another_tool_is_given_back():
    """A debugger or a coverage tool sees what comes after, also on a thread of its own."""
    seen = []

    def other(_frame, _event, _argument):
        return None

    def run():
        sys.settrace(other)
        with bounded():
            pass
        seen.append(sys.gettrace())
        sys.settrace(None)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [other]

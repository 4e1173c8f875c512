"""Text of others on a terminal and in a log: shown, and not obeyed."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmsafety.escapes import escaped, plain
from pytest_llmsafety.progress import Bar, Log

HOSTILE = (
    "\x1b[2J",
    "\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\",
    "\x9b2J",
    "\x07",
    "a\rb",
    "a\x08b",
    "\u202egnp",
    "\u2066x",
    "\u2028",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_terminal_obeys_is_written_out(text):
    """Escapes, C1, bell, carriage return, backspace, direction and links of OSC 8."""
    assert plain(text).isprintable()
    assert escaped(text).isprintable()


@pytest.mark.parametrize(
    "line",
    [
        "::set-output name=a::b",
        "   ::error::",
        "text\n::add-mask::x",
        "say ##[set-output name=a]b",
        "##vso[task.setvariable variable=a]b",
    ],
)
def test_what_a_log_of_ci_obeys_is_broken(line):
    """Commands of GitHub at the start of a line, and of Azure anywhere in it, are none any more."""
    shown = plain(line)
    assert "##[" not in shown
    assert "##vso[" not in shown
    assert not any(one.lstrip().startswith("::") for one in shown.split("\n"))


def test_test_ids_and_headings_stay():
    """A text that is not a command stays as it is."""
    for text in ("tests/test_a.py::test_b", "## Heading", "C# and ## [x]", "a :: b"):
        assert plain(text) == text


@given(st.text())
def test_text_is_shown_once_and_for_all(text):
    """Showing what is shown already changes nothing, and lines stay lines."""
    assert plain(plain(text)) == plain(text)
    assert plain(text).count("\n") == text.count("\n")


@pytest.mark.parametrize("kind", [Bar, Log])
def test_progress_obeys_no_name(kind):
    """Models, compressions and judges are named by the user, and notes quote files."""
    file = io.StringIO()
    progress = kind(file, **({"seconds": 0.0} if kind is Log else {}))
    with progress.bar("judge \x1b[2J", 2) as bar:
        bar.advance(1)
    progress.stage("wanda \x1b[2J", 1, 2)
    progress.stage("wanda \x1b[2J", 2, 2)
    progress.note("a note \x1b[2J\x9b")
    assert "\x1b[2J" not in file.getvalue()
    assert "\x9b" not in file.getvalue()
    assert "a note \\x1b[2J" in file.getvalue()

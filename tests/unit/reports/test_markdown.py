"""Markdown of any text, read by a Markdown parser."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pytest_llmsafety.escapes import escaped
from pytest_llmsafety.reports.markdown import code, folded, table, text

PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
HOSTILE = [
    "a | b || c",
    "`code` ``` fence",
    "<script>alert(1)</script><img src=x onerror=y>",
    "</summary></details><h1>",
    "[click](http://evil.example) ![x](y) <http://evil.example>",
    "*bold* _it_ ~~gone~~ \\* &lt;b&gt; &#64;all",
    "first\nsecond\r\n\n# heading\n- item",
    "\x1b[31mred \u202eright to left",
    "$x$ #1 @octocat",
]
MARKDOWN = st.text("ab \\`*_[]()<>&|~#!@$:/.;1\n\r-+=\"'", max_size=40)


def words(markdown: str) -> str:
    """What a reader sees of one paragraph, cell or heading; anything but text is an error."""
    inline = [token for token in PARSER.parse(markdown) if token.type == "inline"]
    children = inline[-1].children or []
    kinds = {child.type for child in children} - {"text", "text_special"}
    assert kinds == set()
    return "".join(child.content for child in children).replace("\u200b", "")


@settings(max_examples=400, deadline=None)
@given(MARKDOWN | st.text(max_size=40))
@example("\\|")
@example("a\\")
def test_any_text_is_read_as_itself(plain: str) -> None:
    """In a list a reader sees the text, its control characters written out, and nothing else."""
    seen = words(f"- x{text(plain)}x")
    assert seen == f"x{escaped(plain)}x".replace("\u200b", "")


@pytest.mark.parametrize("plain", HOSTILE)
def test_hostile_text_fills_one_cell(plain: str) -> None:
    """Whatever stands in a cell, the table has the cells that it was given."""
    lines = table(["name", "n", "verdict"], [[plain, "1", "x"], ["b", "2", plain]], left=1)
    tokens = PARSER.parse("\n".join(lines))
    cells = [token.content for token in tokens if token.type == "inline"]
    assert len(cells) == 9
    assert [words(f"x{cell}") for cell in (cells[3], cells[8])] == [f"x{escaped(plain)}"] * 2
    assert not any(token.type.startswith("html") for token in tokens)


@pytest.mark.parametrize(
    "plain",
    ["@octocat", "mail me@evil.example", "http://evil.example", "WWW.evil.example", "see #12"],
)
def test_nobody_is_called_and_nothing_linked(plain: str) -> None:
    """What GitHub finds in the finished text, it finds no longer: mentions, links, references."""
    seen = "".join(
        child.content for token in PARSER.parse(text(plain)) for child in token.children or []
    )
    assert not re.search(r"@\w|://|www\.|#\d", seen, re.IGNORECASE)
    assert seen.replace("\u200b", "") == plain


@settings(max_examples=200, deadline=None)
@given(st.lists(MARKDOWN, min_size=1, max_size=3))
def test_no_line_ends_a_block_of_code(lines: list[str]) -> None:
    """A command stays in its block, character by character."""
    tokens = PARSER.parse("\n".join(code(lines)))
    assert [token.type for token in tokens] == ["fence"]
    assert tokens[0].content == "".join(f"{escaped(line)}\n" for line in lines)


def test_a_folded_part_holds_markdown() -> None:
    """What is inside is read as Markdown, between two blocks of HTML."""
    kinds = [token.type for token in PARSER.parse("\n".join(folded("More", ["- a"])))]
    assert kinds[0] == kinds[-1] == "html_block"
    assert "list_item_open" in kinds

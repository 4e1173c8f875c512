"""Dataclasses as plain JSON values: equal after the way back, and nothing of another type."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmsafety.codec import from_plain, to_plain


class Colour(Enum):
    """An enum of texts."""

    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Inner:
    """A value within another."""

    name: str
    share: float | None = None


@dataclass(frozen=True)
class Outer:
    """A field of every kind."""

    colour: Colour
    inner: Inner | None = None
    parts: tuple[Inner, ...] = ()
    pair: tuple[str, int] = ("", 0)
    rows: tuple[tuple[float | None, ...], ...] = ()
    flag: bool = False


FLOATS = st.floats(allow_nan=False)
INNERS = st.builds(Inner, st.text(), st.none() | FLOATS)
OUTERS = st.builds(
    Outer,
    st.sampled_from(Colour),
    st.none() | INNERS,
    st.lists(INNERS, max_size=3).map(tuple),
    st.tuples(st.text(), st.integers()),
    st.lists(st.lists(st.none() | FLOATS, max_size=3).map(tuple), max_size=3).map(tuple),
    st.booleans(),
)


@given(OUTERS)
def test_what_is_written_is_read(value):
    """Any value comes back equal through JSON, with tuples, enums and classes."""
    assert from_plain(Outer, json.loads(json.dumps(to_plain(value)))) == value


def test_fields_that_are_absent_have_their_defaults():
    """A file of an earlier state may lack a field."""
    assert from_plain(Outer, {"colour": "red"}) == Outer(Colour.RED)


@pytest.mark.parametrize(
    "plain",
    [
        [],
        "red",
        {},
        {"colour": "green"},
        {"colour": "red", "shape": "round"},
        {"colour": "red", "inner": {"name": 1}},
        {"colour": "red", "inner": {"name": "a", "share": "0.1"}},
        {"colour": "red", "inner": {"name": "a", "share": True}},
        {"colour": "red", "parts": {"name": "a"}},
        {"colour": "red", "pair": ["a"]},
        {"colour": "red", "pair": ["a", 0.5]},
        {"colour": "red", "rows": [[0.5, "x"]]},
        {"colour": "red", "flag": 1},
    ],
)
def test_anything_else_is_an_error(plain):
    """A missing or unknown field, and every value of another type."""
    with pytest.raises((TypeError, ValueError)):
        from_plain(Outer, plain)


def test_an_error_names_what_it_found():
    """The value is shown in short, with its type."""
    with pytest.raises(TypeError, match=r"'x{40}' is of the type str") as caught:
        from_plain(int, "x" * 1000)
    assert len(str(caught.value)) < 100

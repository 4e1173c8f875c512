"""The table of names and classes, own and of third parties."""

from __future__ import annotations

import datetime as dt
import sys
from importlib.metadata import EntryPoint

import pytest

from pytest_llmsafety.errors import ConfigurationError, UnknownNameError
from pytest_llmsafety.registry import Registry, load_attribute

SHAPES = Registry("shape", {"date": "datetime:date", "lost": "nowhere_at_all:Thing"})


def test_a_name_is_loaded_when_it_is_asked_for() -> None:
    """The table holds texts; the class comes on demand."""
    assert SHAPES.load("date") is dt.date


def test_listing_names_imports_nothing() -> None:
    """A broken entry harms no one who does not use it."""
    assert SHAPES.names() == ["date", "lost"]
    assert "date" in SHAPES
    assert "nowhere_at_all" not in sys.modules


def test_an_unknown_name_gets_a_list_and_a_guess() -> None:
    """The error says what was asked, what is known, what was probably meant."""
    with pytest.raises(UnknownNameError) as caught:
        SHAPES.load("dat")
    assert str(caught.value) == "unknown shape 'dat'. Known: date, lost. Did you mean 'date'?"


def test_a_missing_module_is_a_configuration_error() -> None:
    """An optional package that is not installed is named."""
    with pytest.raises(ConfigurationError, match="cannot import 'nowhere_at_all:Thing'"):
        SHAPES.load("lost")


def test_a_missing_attribute_is_a_configuration_error() -> None:
    """So is a name that the module does not have."""
    with pytest.raises(ConfigurationError, match="module 'datetime' has no 'decade'"):
        load_attribute("datetime:decade")


def test_third_parties_register_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package adds to the family without touching this tree."""
    point = EntryPoint("clock", "datetime:time", "pytest_llmsafety.shapes")

    def found(*, group: str) -> list[EntryPoint]:
        return [point] if group == point.group else []

    monkeypatch.setattr("pytest_llmsafety.registry.entry_points", found)
    assert SHAPES.names() == ["clock", "date", "lost"]
    assert SHAPES.load("clock") is dt.time


def test_a_third_party_cannot_replace_a_name_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """int4 stays int4, whatever else is installed."""
    point = EntryPoint("date", "datetime:time", "pytest_llmsafety.shapes")
    monkeypatch.setattr("pytest_llmsafety.registry.entry_points", lambda **_: [point])
    assert SHAPES.load("date") is dt.date

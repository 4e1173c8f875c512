"""The public names, pinned: a change of them is a change for users.

Those of the package itself are pinned by its `__all__`, which `test_tables.py` holds to the code.
"""

from __future__ import annotations

import importlib

import pytest

import pytest_llmsafety

PUBLIC = {
    "pytest_llmsafety.compressors": ["COMPRESSORS", "CompressionRecord", "check", "compress"],
    "pytest_llmsafety.reports": ["REPORTS"],
    "pytest_llmsafety.strategies": [
        "PROFILE",
        "Prompt",
        "Template",
        "packaged",
        "prompts",
        "questions",
        "swaps",
    ],
}


def test_the_names_are_these() -> None:
    """The `__all__` of each public folder is exactly the list above."""
    assert {name: importlib.import_module(name).__all__ for name in PUBLIC} == PUBLIC


def test_every_name_is_there() -> None:
    """The package itself has each of its public names, and each knows itself by that name."""
    names = {name: getattr(pytest_llmsafety, name).__name__ for name in pytest_llmsafety.__all__}
    assert {name: own for name, own in names.items() if name != own} == {}


def test_an_unknown_name_is_an_attribute_error() -> None:
    """Loading names lazily does not change what a mistake looks like."""
    with pytest.raises(AttributeError, match="no attribute 'assert_everything'"):
        pytest_llmsafety.assert_everything  # noqa: B018 - the access is the test

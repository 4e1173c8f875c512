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


@pytest.mark.parametrize("name", PUBLIC)
def test_the_names_are_these(name: str) -> None:
    """`__all__` is exactly the list above."""
    assert importlib.import_module(name).__all__ == PUBLIC[name]


@pytest.mark.parametrize("name", pytest_llmsafety.__all__)
def test_every_name_is_there(name: str) -> None:
    """Each public name can be had from the package itself, under its own name."""
    assert getattr(pytest_llmsafety, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    """Loading names lazily does not change what a mistake looks like."""
    with pytest.raises(AttributeError, match="no attribute 'assert_everything'"):
        pytest_llmsafety.assert_everything  # noqa: B018 - the access is the test

"""The marker `llmsafety` as pytest sees it: settings and compressions of one test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmsafety.config.marker import MARKER, Override

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.specs import CompressionSpec

DESCRIPTION = (
    f"{MARKER}(margin, limit, confidence, worst, compress): settings of this test that replace "
    "those of the run, and the compressions that it is for"
)


def add_marker(config: pytest.Config) -> None:
    """Add the marker to pytest's list, which --strict-markers checks."""
    config.addinivalue_line("markers", DESCRIPTION)


def override(item: pytest.Item) -> Override:
    """Return the settings in the markers of a test, its class and its module; the nearest wins.

    Raises ConfigurationError for arguments that cannot be read.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for marker in item.iter_markers(MARKER):
        args += marker.args
        kwargs = {**marker.kwargs, **kwargs}
    return Override.read(args, kwargs)


def parameters(item: pytest.Item, specs: Sequence[CompressionSpec]) -> list[Any]:
    """Return a parameter for each compression; one that the test is not for is skipped.

    Raises ConfigurationError as `override` does.
    """
    settings = override(item)
    only = ", ".join(map(str, settings.compressions))
    skip = pytest.mark.skip(reason=f"this test is for {only} only (marker {MARKER})")
    return [
        pytest.param(spec, id=str(spec), marks=() if settings.includes(spec) else skip)
        for spec in specs
    ]

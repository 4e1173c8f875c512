"""The marker `llmsafety`: settings of one test, and the compressions that it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmsafety.config.marker import MARKER, Override

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.specs import CompressionSpec

DESCRIPTION = (
    f"{MARKER}(margin, limit, confidence, worst, compress): what is different for this test: its "
    "margin, items, confidence, what may be unseen; the compressions that it is for"
)


def add_marker(config: pytest.Config) -> None:
    """Make the marker known, so that --strict-markers takes it."""
    config.addinivalue_line("markers", DESCRIPTION)


def override(item: pytest.Item) -> Override:
    """What the markers of a test, its class and its module say; of two the nearest wins.

    Raises ConfigurationError for arguments that cannot be read.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for marker in item.iter_markers(MARKER):
        args += marker.args
        kwargs = {**marker.kwargs, **kwargs}
    return Override.read(args, kwargs)


def parameters(item: pytest.Item, specs: Sequence[CompressionSpec]) -> list[Any]:
    """One parameter for each compression; skipped, with the reason, where the test is not for it.

    Raises ConfigurationError as `override`.
    """
    said = override(item)
    only = ", ".join(map(str, said.compressions))
    skip = pytest.mark.skip(reason=f"this test is for {only} alone (its marker {MARKER})")
    return [
        pytest.param(spec, id=str(spec), marks=() if said.allows(spec) else skip) for spec in specs
    ]

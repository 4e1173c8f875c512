"""Arguments of the marker `llmsafety`."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_llmsafety.config.marker import Override
from pytest_llmsafety.config.options import Options
from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.specs import AppliedMargin, CompressionSpec

INT4, INT8 = map(CompressionSpec.parse, ("int4", "int8"))
BOTH = {"model": "phantom", "compress": "int4"}


def test_without_arguments_nothing_is_changed() -> None:
    """A bare marker is allowed, and every compression with it."""
    options = Options.parse({**BOTH, "margin": [("qa", 0.5)], "limit": 4})
    assert options.under(Override.read((), {})) == options
    assert Override().includes(INT4)


def test_compressions_are_read_as_after_the_flag() -> None:
    """A text with commas, a list, and a range of seeds."""
    assert Override.read((), {"compress": "int4,int8"}).compressions == (INT4, INT8)
    some = Override.read((), {"compress": ["wanda:0.5@seed=0..1"]})
    assert [str(spec) for spec in some.compressions] == ["wanda:0.5@seed=0", "wanda:0.5@seed=1"]
    assert not some.includes(INT4)


def test_a_margin_of_the_command_line_stays() -> None:
    """The marker's margin replaces those of pyproject.toml, also of groups, not of a flag."""
    project = {"margins": {"bbq": 0.1, "toxicity": {"blue": 0.2}}}
    options = Options.parse({**BOTH, "margin": [("qa", 0.5)]}, project=project)
    changed = options.under(Override(margin=0.3, confidence=0.9))
    assert changed.margins.of("qa", 0.9) == AppliedMargin(0.5, by_name=True)
    assert changed.margins.of("bbq", 0.9) == AppliedMargin(0.3)
    assert changed.margins.of("toxicity", 0.9) == AppliedMargin(0.3)
    assert changed.alpha == 0.1


def test_a_margin_of_a_measurement_replaces_those_of_its_groups() -> None:
    """--llmsafety-margin=toxicity=... leaves no group of toxicity with a margin of its own."""
    project = {"margins": {"toxicity": {"default": 0.1, "blue": 0.2}, "bbq": {"Age": 0.3}}}
    options = Options.parse({**BOTH, "margin": [("toxicity", 0.5)]}, project=project)
    assert options.margins.by_key == (("toxicity", 0.5),)
    assert options.margins.by_group == (("bbq", "Age", 0.3),)
    assert options.margins.of("toxicity", 0.9) == AppliedMargin(0.5, by_name=True)
    assert options.margins.of("bbq", 0.9) == AppliedMargin(0.9, (("Age", 0.3),))
    assert ("margin bbq Age", "0.3") in options.settings()


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({"margins": 0.1}, "unknown argument of the marker llmsafety 'margins'.*'margin'"),
        ({"margin": -1}, "margin: expected a number above 0 .*'-1'"),
        ({"limit": 0}, "limit: expected a whole number from 1 on, got 0"),
        ({"limit": True}, "limit: expected a whole number"),
        ({"confidence": 0.2}, "confidence: expected a number between 0.5 and 1"),
        ({"confidence": "0.9"}, "confidence: expected a number"),
        ({"compress": "int5"}, "unknown compressor 'int5'"),
        ({"compress": []}, "compress: expected a text such as 'int4'"),
        ({"compress": 4}, "compress: expected a text such as 'int4'"),
    ],
)
def test_an_argument_that_cannot_be_read_says_so(kwargs: dict[str, Any], expected: str) -> None:
    """The message names the argument, what was given and what was expected."""
    with pytest.raises(ConfigurationError, match=expected):
        Override.read((), kwargs)


def test_an_argument_needs_a_name() -> None:
    """`llmsafety(0.1)` could be anything."""
    with pytest.raises(ConfigurationError, match="takes no argument without a name"):
        Override.read((0.1,), {})

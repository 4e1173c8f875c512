"""The package's own templates, under the names of their data sets."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from pytest_llmsafety.errors import UnknownNameError
from pytest_llmsafety.registry import load_attribute

if TYPE_CHECKING:
    from pytest_llmsafety.strategies.template import Template

KIND = "set of templates"
TEMPLATES = {
    "core-bbq": "pytest_llmsafety.strategies.core_templates:bbq",
    "core-toxicity": "pytest_llmsafety.strategies.core_templates:toxicity",
    "core-unqover": "pytest_llmsafety.strategies.core_templates:unqover",
    "phantom-bbq": "pytest_llmsafety.strategies.phantom_templates:bbq",
    "phantom-toxicity": "pytest_llmsafety.strategies.phantom_templates:toxicity",
    "phantom-unqover": "pytest_llmsafety.strategies.phantom_templates:unqover",
}


@cache
def packaged(name: str) -> tuple[Template, ...]:
    """Return the templates of a data set, in its order; UnknownNameError for another name."""
    if name not in TEMPLATES:
        raise UnknownNameError(KIND, name, TEMPLATES)
    made: tuple[Template, ...] = load_attribute(TEMPLATES[name])()
    return made

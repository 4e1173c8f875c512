"""Few-shot: solved examples of a data set's own before each prompt, of no split that is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pytest_llmsafety.datasets import DATASETS
from pytest_llmsafety.datasets.pins import check_pins
from pytest_llmsafety.datasets.selection import rank
from pytest_llmsafety.errors import ConfigurationError, DatasetError
from pytest_llmsafety.types import ChoiceItem, QuestionItem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_llmsafety.datasets.base import DataSource
    from pytest_llmsafety.types import Item

    AnyItem = ChoiceItem | QuestionItem

EXAMPLES = "-examples"
"""What the name of a data set ends in where its examples are meant (`arc-examples`)."""


@runtime_checkable
class Exemplary(Protocol):
    """A data set that knows a split of solved examples beside what it asks."""

    def examples(self, source: DataSource) -> tuple[AnyItem, ...]:
        """The items of that split, in the form of those that are asked; raises DatasetError."""
        ...


def read_examples(name: str, source: DataSource, own: Mapping[str, str]) -> tuple[AnyItem, ...]:
    """The solved examples of the data set `name`, under ids of their own, as they were pinned.

    Raises ConfigurationError for a data set that has none, DatasetError where its file is absent
    or another one.
    """
    made = DATASETS.load(name)() if name in DATASETS else None
    if not isinstance(made, Exemplary):
        known = sorted(n for n in DATASETS.table if hasattr(DATASETS.load(n), "examples"))
        message = (
            f"shots: {name} has no split of solved examples. Data sets with one: "
            f"{', '.join(known)}; mmlu's prompts hold five already."
        )
        raise ConfigurationError(message)
    found = tuple(
        replace(item, id=f"{name}{EXAMPLES}/{item.id.partition('/')[2]}")
        for item in made.examples(source)
    )
    check_pins(f"{name}{EXAMPLES}", found, own, hub=source.folder is None)
    return found


def with_shots(
    items: Sequence[Item], examples: Sequence[AnyItem], shots: int, seed: int
) -> tuple[tuple[Item, ...], str]:
    """The items after the same `shots` examples each, and a note that names these.

    Drawn are those with the smallest SHA-256 of (seed, id), as `select` draws items; none whose
    question is asked, too. Raises ConfigurationError for fewer than one, DatasetError where there
    are not enough.
    """
    if shots < 1:
        message = f"shots is {shots}. Expected at least 1, or leave it out."
        raise ConfigurationError(message)
    asked = {item.prompt for item in items}
    fit = sorted(
        (one for one in examples if one.prompt not in asked), key=lambda one: rank(one.id, seed)
    )
    if len(fit) < shots:
        message = f"shots is {shots}, and there are {len(fit)} solved examples. Ask for fewer."
        raise DatasetError(message)
    before = "".join(f"{solved(one)}\n\n" for one in fit[:shots])
    names = ", ".join(one.id for one in fit[:shots])
    note = f"each prompt follows {shots} solved examples, drawn by seed {seed}: {names}"
    return tuple(replace(item, prompt=before + item.prompt) for item in items), note


def solved(item: AnyItem) -> str:
    """The prompt with its right answer, the first of several."""
    right = item.options[item.label] if isinstance(item, ChoiceItem) else item.answers[0]
    return f"{item.prompt} {right}"

"""Few-shot prompts: solved examples before each prompt, from another split of the same set."""

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
"""The ending of a name that stands for the examples of a data set (`arc-examples`)."""


@runtime_checkable
class HasExamples(Protocol):
    """A data set with a further split, of solved examples."""

    def examples(self, source: DataSource) -> tuple[AnyItem, ...]:
        """Return the items of that split, in the form of the data set's items; raise as `load`."""
        ...


def read_examples(name: str, source: DataSource, own: Mapping[str, str]) -> tuple[AnyItem, ...]:
    """Return the solved examples of the data set `name`, under ids of their own.

    Raises ConfigurationError for a data set without examples, and DatasetError when their file is
    missing or does not match its pin.
    """
    made = DATASETS.load(name)() if name in DATASETS else None
    if not isinstance(made, HasExamples):
        known = sorted(n for n in DATASETS.table if issubclass(DATASETS.load(n), HasExamples))
        message = (
            f"shots: {name} has no solved examples. Data sets with some: "
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
    """Return the items, each after the same `shots` examples, and a note that names the examples.

    The examples are those with the smallest SHA-256 of (seed, id), as in `select`, without the
    questions of the items. Raises ConfigurationError for fewer than one shot, and DatasetError
    when there are not enough examples.
    """
    if shots < 1:
        message = f"shots is {shots}. Expected at least 1, or leave it out."
        raise ConfigurationError(message)
    prompts = {item.prompt for item in items}
    fit = sorted(
        (one for one in examples if one.prompt not in prompts), key=lambda one: rank(one.id, seed)
    )
    if len(fit) < shots:
        message = f"shots is {shots}, and there are {len(fit)} solved examples. Ask for fewer."
        raise DatasetError(message)
    before = "".join(f"{solved(one)}\n\n" for one in fit[:shots])
    names = ", ".join(one.id for one in fit[:shots])
    note = f"each prompt follows {shots} solved examples, drawn by seed {seed}: {names}"
    return tuple(replace(item, prompt=before + item.prompt) for item in items), note


def solved(item: AnyItem) -> str:
    """Return the prompt with its right answer, the first if there are several."""
    right = item.options[item.label] if isinstance(item, ChoiceItem) else item.answers[0]
    return f"{item.prompt} {right}"

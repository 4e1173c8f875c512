"""Documents of another harness as items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_llmsafety.measurements.harness.choice import ACCURACIES
from pytest_llmsafety.types import ChoiceItem, Item

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.measurements.harness.choice import Choice, Document


def item_of(
    name: str,
    document: Document,
    *,
    choice: Choice,
    prompt: str,
    extra: tuple[str, ...] = (),
    options: tuple[tuple[str, ...], int] | None = None,
) -> Item:
    """An item of one document; `extra` are groups beside those of the choice.

    `options` are those of a multiple choice and the index of the right one.
    """
    groups, cluster = (*extra, *choice.groups_of(document)), choice.cluster_of(document)
    if options is None:
        return Item(name, prompt, groups, cluster)
    return ChoiceItem(name, prompt, groups, cluster, options=options[0], label=options[1])


def options_of(
    metric: str,
    arguments: Sequence[Sequence[Any]],
    target: Any,  # noqa: ANN401 - an index or a text, as the task has it
) -> tuple[tuple[str, ...], int] | None:
    """The options of a multiple choice, and the right one; None where it is none.

    `arguments` are pairs (context, continuation). Options differ in the continuation, or in the
    context; those that have no context serve mutual information. Several right options are not
    one choice.
    """
    asked = [pair for pair in arguments if len(pair) > 1 and pair[0]]
    if metric not in ACCURACIES or len(asked) < len(("this", "that")):
        return None
    if not all(isinstance(text, str) for pair in asked for text in pair):
        return None
    ends = [pair[1].strip() for pair in asked]
    options = tuple(ends if len(set(ends)) > 1 else [pair[0].strip() for pair in asked])
    index = right(str(target).strip(), options)
    return None if index is None else (options, index)


def right(target: str, options: Sequence[str]) -> int | None:
    """The index of the right option, which is given as such or as its text."""
    if target in options:
        return options.index(target)
    return int(target) if target.isdecimal() and int(target) < len(options) else None


def prompt_of(arguments: Sequence[Sequence[Any]]) -> str:
    """What the model reads first, or the document that it has to predict."""
    return next((str(pair[0] or pair[-1]) for pair in arguments if pair), "")

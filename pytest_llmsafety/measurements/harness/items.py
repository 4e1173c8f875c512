"""Turn documents of another harness into items."""

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
    """Return the item of one document; `extra` are groups in addition to those of the choice.

    `options` are the options of a multiple choice and the index of the right one.
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
    """Return the options of a multiple choice and the right index; None if it is not one.

    `arguments` are pairs (context, continuation). Options differ in the continuation, or else in
    the context. Pairs without a context are for mutual information and are left out. A document
    with several right options is not a multiple choice.
    """
    pairs = [pair for pair in arguments if len(pair) > 1 and pair[0]]
    if metric not in ACCURACIES or len(pairs) < len(("this", "that")):
        return None
    if not all(isinstance(text, str) for pair in pairs for text in pair):
        return None
    ends = [pair[1].strip() for pair in pairs]
    options = tuple(ends if len(set(ends)) > 1 else [pair[0].strip() for pair in pairs])
    index = right(str(target).strip(), options)
    return None if index is None else (options, index)


def right(target: str, options: Sequence[str]) -> int | None:
    """Return the index of the right option; `target` is the index or the text of the option."""
    if target in options:
        return options.index(target)
    return int(target) if target.isdecimal() and int(target) < len(options) else None


def prompt_of(arguments: Sequence[Sequence[Any]]) -> str:
    """Return the first context, or the document that the model has to predict."""
    return next((str(pair[0] or pair[-1]) for pair in arguments if pair), "")

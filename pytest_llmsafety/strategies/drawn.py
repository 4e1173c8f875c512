"""The strategies: prompts, pairs of prompts, questions; they shrink towards the earliest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from pytest_llmsafety.errors import UnknownNameError
from pytest_llmsafety.strategies.packaged import packaged
from pytest_llmsafety.strategies.template import Prompt, Template, axis_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.types import ChoiceItem

    Source = str | Sequence[Template] | st.SearchStrategy[Template]

QUESTIONS = ("core-bbq", "phantom-bbq", "phantom-choice")


def prompts(source: Source) -> st.SearchStrategy[Prompt]:
    """Return a strategy for prompts of packaged templates (by name), your own, or a strategy's.

    It shrinks towards the earliest template and its first groups. Raises UnknownNameError.
    """
    return _prompts(_templates(source))


def swaps(source: Source) -> st.SearchStrategy[tuple[Prompt, Prompt]]:
    """Return a strategy for pairs of prompts that differ in one group, of the same axis.

    If the new group is already in another slot, the two change places. Shrinks and raises as
    `prompts`.
    """
    return _swaps(_templates(source))


def questions(dataset: str) -> st.SearchStrategy[ChoiceItem]:
    """Return a strategy for the items of a packaged data set with options.

    It shrinks towards the shortest prompt. Raises UnknownNameError.
    """
    if dataset not in QUESTIONS:
        kind = "data set with packaged questions"
        raise UnknownNameError(kind, dataset, QUESTIONS)
    return st.deferred(lambda: st.sampled_from(_shortest_first(dataset)))


def _templates(source: Source) -> st.SearchStrategy[Template]:
    if isinstance(source, st.SearchStrategy):
        return source
    return st.sampled_from(packaged(source) if isinstance(source, str) else source)


@st.composite
def _prompts(draw: st.DrawFn, templates: st.SearchStrategy[Template]) -> Prompt:
    template = draw(templates)
    return template.fill(*_groups(draw, template))


@st.composite
def _swaps(draw: st.DrawFn, templates: st.SearchStrategy[Template]) -> tuple[Prompt, Prompt]:
    template = draw(templates)
    groups = _groups(draw, template)
    old = draw(st.sampled_from(groups))
    new = draw(
        st.sampled_from([
            group for group, _ in template.groups if group != old and axis_of(group) == axis_of(old)
        ])
    )  # fmt: skip
    places = {old: new, new: old}
    return template.fill(*groups), template.fill(*(places.get(group, group) for group in groups))


def _groups(draw: st.DrawFn, template: Template) -> list[str]:
    """Draw a group for each slot, no group twice."""
    free = [group for group, _ in template.groups]
    drawn = []
    for _ in template.slots:
        drawn.append(draw(st.sampled_from(free)))
        free.remove(drawn[-1])
    return drawn


def _shortest_first(dataset: str) -> list[ChoiceItem]:
    from pytest_llmsafety.datasets import dataset as open_dataset
    from pytest_llmsafety.datasets.base import DataSource

    items: list[ChoiceItem] = list(open_dataset(dataset).load(DataSource()))  # type: ignore[arg-type]
    return sorted(items, key=lambda item: len(item.prompt))

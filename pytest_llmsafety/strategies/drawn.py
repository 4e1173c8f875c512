"""What hypothesis draws: prompts, pairs of prompts, questions; the simplest are the earliest."""

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
    """Prompts of packaged templates (a name of `packaged`), your own, or a strategy for them.

    They shrink towards the earliest template and its first groups. Raises UnknownNameError.
    """
    return _prompts(_templates(source))


def swaps(source: Source) -> st.SearchStrategy[tuple[Prompt, Prompt]]:
    """Two prompts of one template; in the second, another group of the same axis has one slot.

    Where that group is already named in another slot, the two change places. Shrinks and raises
    as `prompts`.
    """
    return _swaps(_templates(source))


def questions(dataset: str) -> st.SearchStrategy[ChoiceItem]:
    """The items of a packaged data set with options; they shrink towards the shortest prompt.

    Raises UnknownNameError.
    """
    if dataset not in QUESTIONS:
        kind = "data set with packaged questions"
        raise UnknownNameError(kind, dataset, QUESTIONS)
    return st.deferred(lambda: st.sampled_from(_shortest_first(dataset)))


def _templates(source: Source) -> st.SearchStrategy[Template]:
    """A strategy for templates, whatever they were given as."""
    if isinstance(source, st.SearchStrategy):
        return source
    return st.sampled_from(packaged(source) if isinstance(source, str) else source)


@st.composite
def _prompts(draw: st.DrawFn, templates: st.SearchStrategy[Template]) -> Prompt:
    """One template with a group in each slot."""
    template = draw(templates)
    return template.fill(*_groups(draw, template))


@st.composite
def _swaps(draw: st.DrawFn, templates: st.SearchStrategy[Template]) -> tuple[Prompt, Prompt]:
    """One template twice."""
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
    """A group for each slot, no group twice."""
    free = [group for group, _ in template.groups]
    drawn = []
    for _ in template.slots:
        drawn.append(draw(st.sampled_from(free)))
        free.remove(drawn[-1])
    return drawn


def _shortest_first(dataset: str) -> list[ChoiceItem]:
    """The items of a data set by length; those of one length as they stand in it."""
    from pytest_llmsafety.datasets import dataset as open_dataset
    from pytest_llmsafety.datasets.base import DataSource

    items: list[ChoiceItem] = list(open_dataset(dataset).load(DataSource()))  # type: ignore[arg-type]
    return sorted(items, key=lambda item: len(item.prompt))

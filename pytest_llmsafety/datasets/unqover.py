"""UnQover: questions that nothing answers, made from the authors' lists (arXiv 2010.02428)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.datasets.folder import find_local
from pytest_llmsafety.datasets.unqover_lists import Attribute, Slot, Subject, read_lists
from pytest_llmsafety.types import UnqoverItem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_llmsafety.datasets.base import DataSource

HOMEPAGE = "https://github.com/allenai/unqover (word_lists/)"
FIRST = "activities/biased_religion"
PLACES = (f"unqover/word_lists/{FIRST}", f"word_lists/{FIRST}")


@dataclass(frozen=True)
class Axis:
    """What is asked of one axis: the names of the authors' lists of subjects and activities.

    With two lists of subjects a pair takes one of each.
    """

    name: str
    subjects: tuple[str, ...]
    activities: str


ETHNICITY = Axis("ethnicity", ("ethnicity",), "biased_ethnicity")
RELIGION = Axis("religion", ("religion",), "biased_religion")
COUNTRY = Axis("country", ("country_roberta",), "biased_country")
GENDER = Axis("gender", ("female_roberta", "male_roberta"), "occupation_rev1")


@dataclass(frozen=True)
class Unqover:
    """Every pair of 15 ethnicities and of 11 religions with every activity: 8,000 questions.

    The authors ask each pair and activity in every template; here it is one of them, in turn,
    so that a run stays affordable. The cluster is the pair of subjects.
    """

    name: ClassVar[str] = "unqover"
    axes: ClassVar[tuple[Axis, ...]] = (ETHNICITY, RELIGION)

    def load(self, source: DataSource) -> tuple[UnqoverItem, ...]:
        """Read the word lists; ids are `unqover/<axis>/<subject>/<subject>/<activity's number>`.

        Raises DatasetError as in Dataset.
        """
        (first,) = find_local(source, PLACES, name="unqover", homepage=HOMEPAGE)
        folder = first.parents[1]
        return tuple(item for axis in self.axes for item in items_of(axis, folder))


@dataclass(frozen=True)
class UnqoverCountry(Unqover):
    """The same for 48 countries and their people: 72,192 questions; take a limit."""

    name: ClassVar[str] = "unqover-country"
    axes: ClassVar[tuple[Axis, ...]] = (COUNTRY,)


@dataclass(frozen=True)
class UnqoverGender(Unqover):
    """A woman's and a man's first name and 70 occupations: 71,680 questions; take a limit."""

    name: ClassVar[str] = "unqover-gender"
    axes: ClassVar[tuple[Axis, ...]] = (GENDER,)


def items_of(axis: Axis, folder: Path) -> Iterator[UnqoverItem]:
    """The questions of one axis, pair by pair."""
    lists = read_lists(folder, axis.name, axis.subjects, axis.activities)
    listed = lists.subjects
    pairs = combinations(listed[0], 2) if len(listed) == 1 else product(*listed)
    for number, (first, second) in enumerate(pairs):
        for place, attribute in enumerate(lists.attributes):
            slots = [slot for slot in lists.slots if slot.kind in attribute.forms]
            slot = slots[(number + place) % len(slots)]
            yield question(axis.name, (first, second), attribute, slot, place)


def question(
    axis: str, pair: tuple[Subject, Subject], attribute: Attribute, slot: Slot, number: int
) -> UnqoverItem:
    """One question in both orders, asked and negated."""
    plain, negated = attribute.forms[slot.kind]
    options = tuple(subject.form(slot.subject) for subject in pair)
    asked = tuple(
        prompt(slot, order, said) for said in (plain, negated) for order in (options, options[::-1])
    )
    place = f"{axis}/{pair[0].name}/{pair[1].name}"
    subjects = (f"{axis}:{pair[0].name}", f"{axis}:{pair[1].name}")
    return UnqoverItem(
        f"unqover/{place}/{number}",
        asked[0],
        subjects,
        place,
        subjects=subjects,
        attribute=attribute.name,
        options=(options[0], options[1]),
        asked=(asked[0], asked[1], asked[2], asked[3]),
    )


def prompt(slot: Slot, order: tuple[str, ...], activity: str) -> str:
    """The template filled in: subjects in this order, `a` made `an` where a vowel follows."""
    context = slot.context.format(*order)
    asked = slot.question.format(activity)
    context, asked = (
        re.sub(r"(?<!\S)([Aa]) (?=[aeiouAEIOU])", r"\1n ", text) for text in (context, asked)
    )
    return f"Context: {context}\nQuestion: {asked}\nAnswer:"

"""UnQover: questions that nothing answers, made from the authors' lists (arXiv 2010.02428)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.datasets.files import find_local, read_text
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import UnqoverItem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_llmsafety.datasets.base import DataSource

HOMEPAGE = "https://github.com/allenai/unqover (word_lists/)"
FIRST = "activities/biased_religion"
NEGATED = ":neg]"
NOUN, DEMONYM = "[subj]", "[subj:dem]"
SLOT = re.compile(r"\[(?:p|l)_act(?:-single)?\]")
PLACES = (f"unqover/word_lists/{FIRST}", f"word_lists/{FIRST}")


@dataclass(frozen=True)
class Axis:
    """One axis: the names of the authors' lists of subjects and activities.

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

    The authors ask each pair and activity in every template. Here the templates take turns, so
    that a run stays affordable. The cluster is the pair of subjects.
    """

    name: ClassVar[str] = "unqover"
    axes: ClassVar[tuple[Axis, ...]] = (ETHNICITY, RELIGION)

    def load(self, source: DataSource) -> tuple[UnqoverItem, ...]:
        """Read the word lists; ids are `unqover/<axis>/<subject>/<subject>/<activity's number>`."""
        (first,) = find_local(source, PLACES, name="unqover", homepage=HOMEPAGE)
        folder = first.parents[1]
        return tuple(item for axis in self.axes for item in items_of(axis, folder))


@dataclass(frozen=True)
class UnqoverCountry(Unqover):
    """The same for 48 countries and their people: 72,192 questions; set a limit."""

    name: ClassVar[str] = "unqover-country"
    axes: ClassVar[tuple[Axis, ...]] = (COUNTRY,)


@dataclass(frozen=True)
class UnqoverGender(Unqover):
    """A woman's and a man's first name and 70 occupations: 71,680 questions; set a limit."""

    name: ClassVar[str] = "unqover-gender"
    axes: ClassVar[tuple[Axis, ...]] = (GENDER,)


def items_of(axis: Axis, folder: Path) -> Iterator[UnqoverItem]:
    """Yield the questions of one axis, pair by pair."""
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
    """Return one question in both orders, affirmed and negated."""
    affirmed, negated = attribute.forms[slot.kind]
    options = tuple(subject.form(slot.subject) for subject in pair)
    prompts = tuple(
        prompt(slot, order, activity)
        for activity in (affirmed, negated)
        for order in (options, options[::-1])
    )
    place = f"{axis}/{pair[0].name}/{pair[1].name}"
    subjects = (f"{axis}:{pair[0].name}", f"{axis}:{pair[1].name}")
    return UnqoverItem(
        f"unqover/{place}/{number}",
        prompts[0],
        subjects,
        place,
        subjects=subjects,
        attribute=attribute.name,
        options=(options[0], options[1]),
        asked=(prompts[0], prompts[1], prompts[2], prompts[3]),
    )


def prompt(slot: Slot, order: tuple[str, ...], activity: str) -> str:
    """Return the filled template: subjects in this order, `an` instead of `a` before a vowel."""
    context = slot.context.format(*order)
    question = slot.question.format(activity)
    context, question = (
        re.sub(r"(?<!\S)([Aa]) (?=[aeiouAEIOU])", r"\1n ", text) for text in (context, question)
    )
    return f"Context: {context}\nQuestion: {question}\nAnswer:"


@dataclass(frozen=True)
class Subject:
    """A subject of questions, and its demonym (*French*) for templates with one."""

    name: str
    demonym: str = ""

    def form(self, kind: str) -> str:
        """Return the word for a slot of this kind."""
        return self.demonym if kind == DEMONYM else self.name


@dataclass(frozen=True)
class Attribute:
    """An activity; `forms` maps the kind of a slot to the affirmed and the negated form."""

    name: str
    forms: dict[str, tuple[str, str]]


@dataclass(frozen=True)
class Slot:
    """A template: `context` has two fields for subjects, `question` one for the activity."""

    context: str
    question: str
    kind: str
    subject: str


@dataclass(frozen=True)
class Lists:
    """The word lists of one axis; `subjects` holds one list, or one for each side."""

    subjects: tuple[tuple[Subject, ...], ...]
    attributes: tuple[Attribute, ...]
    slots: tuple[Slot, ...]


def read_lists(folder: Path, axis: str, subjects: tuple[str, ...], activities: str) -> Lists:
    """Read the lists of one axis; DatasetError for files that are missing or malformed."""
    return Lists(
        tuple(_subjects(folder / "nouns" / "subjects" / name) for name in subjects),
        _attributes(folder / "activities" / activities),
        _slots(folder / "slots" / f"{axis}_noact"),
    )


def _lines(path: Path) -> list[str]:
    """Return the lines with text; `#` begins a comment."""
    if not path.is_file():
        message = f"'{path}' is missing. Get the whole folder word_lists of allenai/unqover."
        raise DatasetError(message)
    lines = [line.strip() for line in read_text(path).splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _terms(path: Path) -> dict[str, list[str]]:
    """Return the terms of a list by slot; the part before `|` only sorts them."""
    found: dict[str, list[str]] = {}
    for line in _lines(path):
        head, _, term = line.partition(" ")
        if not head.startswith("[") or not head.endswith("]") or not term.strip():
            message = f"'{path}' holds a line that is not `[slot] term`: {line[:120]}"
            raise DatasetError(message)
        found.setdefault(head, []).append(term.rpartition("|")[2].strip())
    return found


def _subjects(path: Path) -> tuple[Subject, ...]:
    terms = _terms(path)
    names = terms.get(NOUN, [])
    demonyms = terms.get(DEMONYM) or [""] * len(names)
    if not names or len(demonyms) != len(names):
        message = f"'{path}' has {len(names)} subjects and {len(demonyms)} demonyms."
        raise DatasetError(message)
    return tuple(Subject(name, demonym) for name, demonym in zip(names, demonyms, strict=True))


def _attributes(path: Path) -> tuple[Attribute, ...]:
    """Return the activities in the order of the file; each has the same place in every form.

    The authors call an activity by its plural form (`[p_act]` for `[p_act-single]`).
    """
    terms = _terms(path)
    kinds = [kind for kind in terms if not kind.endswith(NEGATED)]
    named: dict[tuple[str, int], Attribute] = {}
    for kind, number, affirmed, negated in _forms(path, terms, kinds):
        plural = kind.replace("-single", "")
        name = terms[plural][number] if plural in terms else affirmed
        known = named.setdefault((plural, number), Attribute(name, {}))
        known.forms[kind] = (affirmed, negated)
    return tuple(named.values())


def _forms(
    path: Path, terms: dict[str, list[str]], kinds: list[str]
) -> Iterator[tuple[str, int, str, str]]:
    """Yield each activity in each form: kind, number, affirmed, negated."""
    for kind in kinds:
        negations = terms.get(kind[:-1] + NEGATED, [])
        if len(negations) != len(terms[kind]):
            message = f"'{path}' negates {len(negations)} of {len(terms[kind])} {kind} activities."
            raise DatasetError(message)
        for number, (affirmed, negated) in enumerate(zip(terms[kind], negations, strict=True)):
            yield kind, number, affirmed, negated


def _slots(path: Path) -> tuple[Slot, ...]:
    """Return the templates: context, question and negated question, divided by tabs."""
    return tuple(_slot(path, line) for line in _lines(path))


def _slot(path: Path, line: str) -> Slot:
    parts = [part.strip() for part in line.split("\t") if part.strip()]
    kind = SLOT.search(parts[1]) if len(parts) == len(("context", "plain", "negated")) else None
    if kind is None or "[subj1" not in parts[0] or "[subj2" not in parts[0]:
        message = (
            f"'{path}' holds a line that is not a template of two subjects with a question and "
            f"its negation: {line[:120]}"
        )
        raise DatasetError(message)
    return Slot(
        re.sub(r"\[subj([12])(:dem)?\]", lambda found: f"{{{int(found[1]) - 1}}}", parts[0]),
        parts[1].replace(kind[0], "{}"),
        kind[0],
        DEMONYM if ":dem]" in parts[0] else NOUN,
    )

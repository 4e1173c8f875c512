"""UnQover's word lists: subjects, activities with their negations, and templates."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_llmsafety.datasets.folder import read_text
from pytest_llmsafety.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEGATED = ":neg]"
NOUN, DEMONYM = "[subj]", "[subj:dem]"
SLOT = re.compile(r"\[(?:p|l)_act(?:-single)?\]")


@dataclass(frozen=True)
class Subject:
    """Whom a question may be about; `demonym` where a template wants one (French)."""

    name: str
    demonym: str = ""

    def form(self, kind: str) -> str:
        """The word that a template wants."""
        return self.demonym if kind == DEMONYM else self.name


@dataclass(frozen=True)
class Attribute:
    """An activity; `forms` maps a slot's kind to it and to its negation in that form."""

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
    """All that one axis is made from; `subjects` holds one list, or one for each side."""

    subjects: tuple[tuple[Subject, ...], ...]
    attributes: tuple[Attribute, ...]
    slots: tuple[Slot, ...]


def read_lists(folder: Path, axis: str, subjects: tuple[str, ...], activities: str) -> Lists:
    """Read the lists of one axis; raises DatasetError for files that are absent or malformed."""
    return Lists(
        tuple(_subjects(folder / "nouns" / "subjects" / name) for name in subjects),
        _attributes(folder / "activities" / activities),
        _slots(folder / "slots" / f"{axis}_noact"),
    )


def _lines(path: Path) -> list[str]:
    """The lines that say something; `#` begins a comment."""
    if not path.is_file():
        message = f"'{path}' is missing. Get the whole folder word_lists of allenai/unqover."
        raise DatasetError(message)
    lines = [line.strip() for line in read_text(path).splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _terms(path: Path) -> dict[str, list[str]]:
    """The terms of a list by the slot they fill; what stands before `|` only sorts them."""
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
    """Activities in the order of the file; the same one stands at the same place in each form.

    The authors call an activity by its plural form (`[p_act]` for `[p_act-single]`).
    """
    terms = _terms(path)
    kinds = [kind for kind in terms if not kind.endswith(NEGATED)]
    named: dict[tuple[str, int], Attribute] = {}
    for kind, number, said, negated in _forms(path, terms, kinds):
        plural = kind.replace("-single", "")
        name = terms[plural][number] if plural in terms else said
        known = named.setdefault((plural, number), Attribute(name, {}))
        known.forms[kind] = (said, negated)
    return tuple(named.values())


def _forms(
    path: Path, terms: dict[str, list[str]], kinds: list[str]
) -> Iterator[tuple[str, int, str, str]]:
    """Every activity in every form, with its number and its negation."""
    for kind in kinds:
        negations = terms.get(kind[:-1] + NEGATED, [])
        if len(negations) != len(terms[kind]):
            message = f"'{path}' negates {len(negations)} of {len(terms[kind])} {kind} activities."
            raise DatasetError(message)
        for number, (said, negated) in enumerate(zip(terms[kind], negations, strict=True)):
            yield kind, number, said, negated


def _slots(path: Path) -> tuple[Slot, ...]:
    """Templates: context, question and negated question, divided by tabs."""
    return tuple(_slot(path, line) for line in _lines(path))


def _slot(path: Path, line: str) -> Slot:
    parts = [part.strip() for part in line.split("\t") if part.strip()]
    kind = SLOT.search(parts[1]) if len(parts) == len(("context", "plain", "negated")) else None
    if kind is None or "[subj1" not in parts[0] or "[subj2" not in parts[0]:
        message = (
            f"'{path}' holds a line that is no template of two subjects with a question and its "
            f"negation: {line[:120]}"
        )
        raise DatasetError(message)
    return Slot(
        re.sub(r"\[subj([12])(:dem)?\]", lambda found: f"{{{int(found[1]) - 1}}}", parts[0]),
        parts[1].replace(kind[0], "{}"),
        kind[0],
        DEMONYM if ":dem]" in parts[0] else NOUN,
    )

"""HolisticBias: sentences made of its authors' lists, by their rules (arXiv 2205.09209)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.datasets.files import find_local, read_json
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import SubjectItem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_llmsafety.datasets.base import DataSource

HOMEPAGE = "https://github.com/facebookresearch/ResponsibleNLP (holistic_bias/dataset/v1.1)"
FOLDERS = (
    "holistic_bias/v1.1/",
    "holistic_bias/dataset/v1.1/",
    "dataset/v1.1/",
    "v1.1/",
    "holistic_bias/",
    "",
)
PLACES = tuple(f"{folder}descriptors.json" for folder in FOLDERS)
NONE = "none"
"""The bucket when the authors give none; the axis of a noun alone is their `null`."""


@dataclass(frozen=True)
class Phrase:
    """One noun phrase, singular and plural; `has_noun` if a noun of the list is in it."""

    group: str
    one: str
    many: str
    has_noun: bool


@dataclass(frozen=True)
class HolisticBias:
    """Sentences about people of 13 axes; the group is `axis:bucket`, the cluster the template."""

    name: ClassVar[str] = "holistic_bias"

    def load(self, source: DataSource) -> tuple[SubjectItem, ...]:
        """Read the four lists; ids are `holistic_bias/<template>/<noun phrase>`.

        A sentence with several derivations is one item in all their groups. Raises DatasetError
        for lists of another form.
        """
        (path,) = find_local(source, PLACES, name="HolisticBias", homepage=HOMEPAGE)
        try:
            return _sentences(path.parent)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            message = (
                f"the lists in the folder of '{path}' are not HolisticBias v1.1 ({error!r}). "
                f"Get them from {HOMEPAGE}."
            )
            raise DatasetError(message) from error


def _sentences(folder: Path) -> tuple[SubjectItem, ...]:
    """Return each template with each noun phrase that fits."""
    found: dict[str, SubjectItem] = {}
    phrases = tuple(noun_phrases(folder))
    for number, (template, rules) in enumerate(_read(folder, "sentence_templates").items()):
        plural = "{plural_noun_phrase}" in template
        for phrase in phrases:
            if rules.get("must_be_noun") and not phrase.has_noun:
                continue
            term = phrase.many if plural else phrase.one
            text = template.format(noun_phrase=term, plural_noun_phrase=term)
            old = found.get(text)
            groups = (*(old.groups if old else ()), phrase.group)
            found[text] = SubjectItem(
                f"holistic_bias/{number}/{term}",
                text,
                tuple(dict.fromkeys(groups)),
                f"template {number}",
                term=term,
            )
    return tuple(found.values())


def noun_phrases(folder: Path) -> Iterator[Phrase]:
    """Yield nouns alone, then descriptors with and without each noun, then complete phrases."""
    nouns = [
        (gender, one, many)
        for gender, pairs in _read(folder, "nouns").items()
        for one, many in pairs
    ]
    for _, one, many in nouns:
        yield Phrase(f"null:{NONE}", f"{article(one)} {one}", many, has_noun=True)
    for axis, buckets in _read(folder, "descriptors").items():
        for bucket, descriptors in buckets.items():
            for entry in descriptors:
                yield from _described(f"{axis}:{bucket}", _entry(entry, "descriptor"), nouns)
    for axis, entries in _read(folder, "standalone_noun_phrases").items():
        for entry in entries:
            yield from _standalone(f"{axis}:{NONE}", _entry(entry, "noun_phrase"), nouns)


def article(word: str) -> str:
    """Return `an` before a vowel letter, as the authors do; their lists have the exceptions."""
    return "an" if word[0].lower() in "aeiou" else "a"


def _described(
    group: str, entry: dict[str, str], nouns: list[tuple[str, str, str]]
) -> Iterator[Phrase]:
    """Yield a descriptor alone (`Deaf`), and with each noun of its gender (`a Deaf woman`)."""
    word = entry["descriptor"]
    before = entry.get("article", article(word))
    yield Phrase(group, word, word, has_noun=False)
    for gender, one, many in nouns:
        if entry.get("gender", gender) == gender:
            yield Phrase(group, f"{before} {word} {one}", f"{word} {many}", has_noun=True)


def _standalone(
    group: str, entry: dict[str, str], nouns: list[tuple[str, str, str]]
) -> Iterator[Phrase]:
    """Yield a phrase as it is (`a wheelchair user`), or with each noun if it has a slot for one."""
    one = entry["noun_phrase"]
    many = entry.get("plural_noun_phrase", one)
    if "{noun}" not in one:
        yield Phrase(group, one, many, has_noun=False)
        return
    for _, noun, plural in nouns:
        yield Phrase(
            group,
            one.format(article=article(noun), noun=noun),
            many.format(article="", noun=plural).lstrip(),
            has_noun=True,
        )


def _entry(entry: str | dict[str, str], key: str) -> dict[str, str]:
    """Return an entry of a list, which is a word alone or a word with its properties."""
    return {key: entry} if isinstance(entry, str) else entry


def _read(folder: Path, name: str) -> dict[str, Any]:
    path = folder / f"{name}.json"
    if not path.is_file():
        message = f"'{path}' is missing. Get it from {HOMEPAGE}."
        raise DatasetError(message)
    content: dict[str, Any] = read_json(path)
    return content

"""WinoBias: whom a pronoun stands for, with and against the stereotype (arXiv 1804.06876)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.datasets.files import find_local, read_text
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import ReferenceItem

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_llmsafety.datasets.base import DataSource

HOMEPAGE = "https://github.com/uclanlp/corefBias (WinoBias/wino/data/*.txt.dev)"
FILE = "{}_stereotyped_type{}.txt.dev"
FIRST = FILE.format("pro", 1)
PLACES = (
    f"winobias/{FIRST}",
    f"corefBias/WinoBias/wino/data/{FIRST}",
    f"WinoBias/wino/data/{FIRST}",
    FIRST,
)
MARKED = re.compile(r"\[([^\]]+)\]")
TYPES = (1, 2)


@dataclass(frozen=True)
class WinoBias:
    """The development sentences in both versions; the cluster is the pair of occupations.

    In type 1 only knowledge of the world resolves the pronoun, in type 2 the grammar does.
    """

    name: ClassVar[str] = "winobias"

    def load(self, source: DataSource) -> tuple[ReferenceItem, ...]:
        """Read the four files; ids are `winobias/type<1 or 2>/<line from 1>`."""
        (first,) = find_local(source, PLACES, name=self.name, homepage=HOMEPAGE)
        folder = first.parent
        return tuple(item for kind in TYPES for item in _items(folder, kind))


def _items(folder: Path, kind: int) -> list[ReferenceItem]:
    """Return the sentences of one type; each two lines are about the same two persons."""
    sides = [_sentences(folder / FILE.format(side, kind)) for side in ("pro", "anti")]
    if len(sides[0]) != len(sides[1]) or len(sides[0]) % 2:
        message = (
            f"WinoBias type {kind} in '{folder}' has {len(sides[0])} and {len(sides[1])} "
            "sentences. Expected the same even number for and against the stereotype."
        )
        raise DatasetError(message)
    occupations = [_occupation(sentence) for sentence in sides[0]]
    return [
        _item(kind, number, (pro, anti), (occupations[number], occupations[number ^ 1]))
        for number, (pro, anti) in enumerate(zip(*sides, strict=True))
    ]


def _sentences(path: Path) -> list[str]:
    if not path.is_file():
        message = f"'{path}' is missing. Get all four files from {HOMEPAGE}."
        raise DatasetError(message)
    lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    for line in lines:
        if not re.match(r"\d+ ", line) or len(MARKED.findall(line)) < len(TYPES):
            message = f"'{path}' holds a line without number, person and pronoun: {line[:120]}"
            raise DatasetError(message)
    return [line.split(" ", 1)[1] for line in lines]


def _occupation(sentence: str) -> str:
    """Return the person that the pronoun stands for, without article."""
    return re.sub(r"^the ", "", MARKED.findall(sentence)[0].strip(), flags=re.IGNORECASE)


def _item(
    kind: int, number: int, versions: tuple[str, str], people: tuple[str, str]
) -> ReferenceItem:
    prompts = [_prompt(sentence) for sentence in versions]
    return ReferenceItem(
        f"winobias/type{kind}/{number + 1}",
        prompts[0],
        (f"type:{kind}",),
        "/".join(sorted(person.lower() for person in people)),
        pro=prompts[0],
        anti=prompts[1],
        options=(f"The {people[0]}", f"The {people[1]}"),
    )


def _prompt(sentence: str) -> str:
    """Return the sentence without its marks, and the question about its first pronoun."""
    pronoun = MARKED.findall(sentence)[1].strip()
    plain = re.sub(r"\s+([.,;'])", r"\1", " ".join(re.sub(r"[\[\]]", " ", sentence).split()))
    return f'Context: {plain}\nQuestion: Who is meant by "{pronoun}"?\nAnswer:'

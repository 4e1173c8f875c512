"""ToxiGen: lists of sentences about a group, to be continued (arXiv 2203.09509)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.datasets.files import find_local, read_text
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import Item

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_llmsafety.datasets.base import DataSource

HOMEPAGE = "https://github.com/microsoft/TOXIGEN (prompts/*_1k.txt)"
PLACES = ("toxigen/*_1k.txt", "toxigen/prompts/*_1k.txt", "prompts/*_1k.txt", "*_1k.txt")
FILE = re.compile(r"(hate|neutral)_(\w+)_1k")
NEWLINE = r"\n"  # as the authors write it: a backslash and the letter
AXES = {
    "disability": ("mental_disability", "physical_disability"),
    "gender": ("trans", "women"),
    "nationality": ("chinese", "immigrant", "mexican", "middle_east"),
    "race": ("asian", "black", "jewish", "latino", "native_american"),
    "religion": ("muslim",),
    "sexual_orientation": ("bisexual", "lgbtq"),
}
"""The authors' folders of demonstrations; women and trans people stand in none that was seen."""
GROUPS = {group: f"{axis}:{group}" for axis, groups in AXES.items() for group in groups}


@dataclass(frozen=True)
class ToxiGen:
    """Lists of hateful or of neutral sentences, to be continued; the group is their subject."""

    name: ClassVar[str] = "toxigen"

    def load(self, source: DataSource) -> tuple[Item, ...]:
        """Read `<hate|neutral>_<group>_1k.txt`; ids are `toxigen/<kind>/<group>/<number>`."""
        files = find_local(source, PLACES, name="ToxiGen", homepage=HOMEPAGE)
        return tuple(item for path in files for item in _items(path))


def _items(path: Path) -> list[Item]:
    """Return the items of one file, in order, a repeated line once.

    In three of the authors' files some lines lack the line break before the open dash; prompts keep
    them as they are.
    """
    match = FILE.fullmatch(path.stem)
    if match is None or match[2] not in GROUPS:
        message = (
            f"'{path}' is not a file of ToxiGen's prompts. Expected hate_GROUP_1k.txt or "
            f"neutral_GROUP_1k.txt with a GROUP of {', '.join(sorted(GROUPS))}."
        )
        raise DatasetError(message)
    kind, group = match.groups()
    found: dict[str, Item] = {}
    for number, line in enumerate(read_text(path).splitlines()):
        if not line.strip():
            continue
        prompt = line.rstrip().replace(NEWLINE, "\n")
        listed = prompt.removesuffix("-").rstrip("\n")
        if not prompt.endswith("-") or not listed.strip():
            message = f"'{path}' line {number + 1} does not end in an open '-': {line[-80:]!r}"
            raise DatasetError(message)
        sentences = listed.split("\n")
        cluster = f"{kind}/{group}/{_same(sentences)}"
        name = f"toxigen/{kind}/{group}/{number}"
        found.setdefault(prompt, Item(name, prompt, (GROUPS[group],), cluster))
    return list(found.values())


def _same(sentences: Sequence[str]) -> str:
    """Return a hash that prompts share when they list the same sentences in another order."""
    return hashlib.sha256("\n".join(sorted(sentences)).encode()).hexdigest()[:16]

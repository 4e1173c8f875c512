"""What the items of a data set are known to be, so that changed files are an error, not a drift."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_llmsafety.types import Item

DIGITS = 16
LEFT_OUT = {"category"}
"""BBQ's is in the id; whether its persons have names, a table beside the questions may say."""
ANY = "any"


FETCH = "Fetch the files again."
DROP = "Delete its copies in the caches below HF_HOME (~/.cache/huggingface) and load it again."
ACCEPT = "If you mean to use these, say so with --llmsafety-pin="
PARTIAL = ("bbq", "mmlu", "toxigen")
"""Sets with a file for each part, of which a folder may hold some; all others have to be whole."""


@dataclass(frozen=True)
class Pin:
    """So many items, in this order; without a `digest` only their number is known.

    `at_least`, unless 0: their authors have `count` rows, of which the loader leaves out repeated
    ones, or some with a warning; so many remain.
    """

    count: int
    digest: str = ""
    at_least: int = 0

    def __str__(self) -> str:
        """As an error says what was expected."""
        number = f"{self.at_least} to {self.count}" if self.at_least else str(self.count)
        return f"{number} with the digest {self.digest}" if self.digest else number

    def holds(self, found: Pin) -> bool:
        """Whether a part that was found is this one."""
        fits = (self.at_least or self.count) <= found.count <= self.count
        return fits and self.digest in {"", found.digest}


@cache
def pins() -> Mapping[str, Mapping[str, tuple[Pin, ...]]]:
    """Pins by data set, then by the beginning of the ids (`bbq/Age`); any one of several holds.

    The first is that of the hub, the others are those of files that hold less. The digests are
    those of files that were read. Where there is only a number, it is one that the authors or the
    hub state, and the files have not been read.
    """
    known = json.loads(files(__package__).joinpath("pins.json").read_text("utf-8"))
    return {
        name: {start: _read(pin) for start, pin in parts.items()} for name, parts in known.items()
    }


def _read(pin: list[Any]) -> tuple[Pin, ...]:
    """One pin, or several, as the file has them."""
    several = pin if isinstance(pin[0], list) else [pin]
    return tuple(Pin(*one) for one in several)


def digest_of(items: Sequence[Item]) -> str:
    """Sixteen hex digits of the SHA-256 over the items: what is asked, what is right, of whom."""
    total = hashlib.sha256()
    for item in items:
        asked = {name: value for name, value in vars(item).items() if name not in LEFT_OUT}
        total.update(json.dumps(asked, sort_keys=True).encode("ascii") + b"\n")
    return total.hexdigest()[:DIGITS]


def check_pins(
    dataset: str, items: Sequence[Item], own: Mapping[str, str], *, hub: bool = False
) -> str:
    """Return the digest of the items of `dataset`, which are the ones that were pinned.

    `own` maps a data set to the digest that the user expects, or to `any`; it replaces the pins
    that are known. Data of which nothing is known pass, and so does a part that a folder lacks
    (`missing_parts` names it). From the `hub` every part has to be there. Raises DatasetError for
    other items than the pinned ones.
    """
    digest = digest_of(items)
    if dataset in own:
        if own[dataset] not in {ANY, digest}:
            message = (
                f"{dataset} has changed: {len(items)} items with the digest {digest}, expected "
                f"{own[dataset]}. Fetch the files again, or correct --llmsafety-pin."
            )
            raise DatasetError(message)
        return digest
    lacking = () if hub else missing_parts(dataset, items)
    for start, known in pins().get(dataset, {}).items():
        if start not in lacking:
            part = _part(items, start)
            found = Pin(len(part), digest if len(part) == len(items) else digest_of(part))
            advice = DROP if hub else FETCH
            _check_part(
                start, known[:1] if hub else known, found, f"{advice} {ACCEPT}{dataset}=any."
            )
    return digest


def missing_parts(dataset: str, items: Sequence[Item]) -> tuple[str, ...]:
    """The parts of a data set that its folder lacks and may lack, by the beginning of their ids."""
    parts = pins()[dataset] if dataset in PARTIAL else ()
    return tuple(start for start in parts if not _part(items, start))


def part_note(dataset: str, items: Sequence[Item]) -> tuple[str, ...]:
    """What a verdict says of a data set that is there in part; nothing of one that is whole."""
    lacking = missing_parts(dataset, items)
    if not lacking:
        return ()
    names = ", ".join(start.partition("/")[2] for start in lacking)
    return (f"{len(lacking)} of {len(pins()[dataset])} parts of {dataset} are missing: {names}",)


def _part(items: Sequence[Item], start: str) -> list[Item]:
    """The items of one part."""
    return [item for item in items if item.id.startswith(f"{start}/")]


def _check_part(start: str, known: Sequence[Pin], found: Pin, advice: str) -> None:
    """Raise DatasetError for a part that is none of the pinned ones."""
    if any(pin.holds(found) for pin in known):
        return
    message = (
        f"{start} is not the authors' data: {found.count} items with the digest {found.digest}, "
        f"expected {' or '.join(map(str, known))}. {advice}"
    )
    raise DatasetError(message)

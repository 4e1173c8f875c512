"""Pins: the known number and digest of a data set's items, so that changed files are an error."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import DatasetError, number_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_llmsafety.types import Item

DIGITS = 16
LEFT_OUT = {"category"}
"""Left out of digests: BBQ's category is in the id, but its suffix depends on a further table."""
ANY = "any"

FETCH = "Fetch the files again."
DROP = "Delete its copies in the caches below HF_HOME (~/.cache/huggingface) and load it again."
ACCEPT = "If you mean to use these, say so with --llmsafety-pin="
PARTIAL = ("bbq", "mmlu", "toxigen")
"""Sets with a file for each part, of which a folder may lack some; all others must be whole."""


@dataclass(frozen=True)
class Pin:
    """The number of items, and their digest if known.

    `at_least`, unless 0: the loader may leave out some of the authors' `count` rows (repeated ones,
    or some with a warning), and at least so many remain.
    """

    count: int
    digest: str = ""
    at_least: int = 0

    def __str__(self) -> str:
        """Return the pin as an error message states it."""
        number = f"{self.at_least} to {self.count}" if self.at_least else str(self.count)
        return f"{number} with the digest {self.digest}" if self.digest else number

    def holds(self, found: Pin) -> bool:
        """Return whether a part that was found matches this pin."""
        fits = (self.at_least or self.count) <= found.count <= self.count
        return fits and self.digest in {"", found.digest}


@cache
def pins() -> Mapping[str, Mapping[str, tuple[Pin, ...]]]:
    """Return the pins by data set, then by the beginning of the ids (`bbq/Age`).

    Of several pins one has to match: the first is the hub's, the others belong to files with fewer
    items. A digest was computed from files that were read. A number alone is the authors' or the
    hub's statement, and the files have not been read.
    """
    known = json.loads(files(__package__).joinpath("pins.json").read_text("utf-8"))
    return {
        name: {start: _read(pin) for start, pin in parts.items()} for name, parts in known.items()
    }


def _read(pin: list[Any]) -> tuple[Pin, ...]:
    several = pin if isinstance(pin[0], list) else [pin]
    return tuple(Pin(*one) for one in several)


def digest_of(items: Sequence[Item]) -> str:
    """Return 16 hex digits of the SHA-256 over all fields of the items, in order."""
    total = hashlib.sha256()
    for item in items:
        fields = {name: value for name, value in vars(item).items() if name not in LEFT_OUT}
        total.update(json.dumps(fields, sort_keys=True).encode("ascii") + b"\n")
    return total.hexdigest()[:DIGITS]


def check_pins(
    dataset: str, items: Sequence[Item], own: Mapping[str, str], *, hub: bool = False
) -> str:
    """Return the digest of the items of `dataset`; DatasetError if they do not match its pins.

    `own` maps a data set to the digest that the user expects, or to `any`, in place of the known
    pins. A data set without pins passes, and so does a part that a folder lacks (`missing_parts`
    names it). From the `hub` every part has to be there.
    """
    digest = digest_of(items)
    if dataset in own:
        if own[dataset] not in {ANY, digest}:
            message = (
                f"{dataset} has changed: {number_of(len(items), 'item')} with the digest {digest}, "
                f"expected {own[dataset]}. Fetch the files again, or correct --llmsafety-pin."
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
    """Return the parts that the folder of a partial data set lacks, by the start of their ids."""
    parts = pins()[dataset] if dataset in PARTIAL else ()
    return tuple(start for start in parts if not _part(items, start))


def part_note(dataset: str, items: Sequence[Item]) -> tuple[str, ...]:
    """Return a note for verdicts on a data set with missing parts; empty for a whole one."""
    lacking = missing_parts(dataset, items)
    if not lacking:
        return ()
    names = ", ".join(start.partition("/")[2] for start in lacking)
    return (f"{len(lacking)} of {len(pins()[dataset])} parts of {dataset} are missing: {names}",)


def _part(items: Sequence[Item], start: str) -> list[Item]:
    return [item for item in items if item.id.startswith(f"{start}/")]


def _check_part(start: str, known: Sequence[Pin], found: Pin, advice: str) -> None:
    if any(pin.holds(found) for pin in known):
        return
    message = (
        f"{start} is not the authors' data: {number_of(found.count, 'item')} with the digest "
        f"{found.digest}, expected {' or '.join(map(str, known))}. {advice}"
    )
    raise DatasetError(message)

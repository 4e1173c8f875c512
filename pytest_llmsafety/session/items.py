"""The items of a session: each data set is read, checked against its pin, and cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_llmsafety.datasets import dataset as open_dataset
from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.few_shot import read_examples, with_shots
from pytest_llmsafety.datasets.pins import check_pins, digest_of, part_note
from pytest_llmsafety.datasets.selection import select

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_llmsafety.types import Item


@dataclass(frozen=True)
class Drawn:
    """Items of one data set, with the digest of all its items and notes for the reader.

    `n_data` is how many items the data set holds.
    """

    items: tuple[Item, ...]
    digest: str
    notes: tuple[str, ...] = ()
    n_data: int = 0


class SessionItems:
    """Reads data sets, once a session for each limit and number of examples.

    `folder` is `--llmsafety-data`; None is the hub. `pins` maps data sets to the digests that the
    user expects.
    """

    def __init__(self, folder: Path | None, pins: Mapping[str, str], seed: int) -> None:
        """Read nothing yet."""
        self._source = DataSource(folder)
        self._pins = pins
        self._seed = seed
        self._drawn: dict[tuple[str, int | None, int | None], Drawn] = {}

    def of(self, dataset: str, limit: int | None, shots: int | None = None) -> Drawn:
        """Return at most `limit` items of a data set, each after `shots` of its solved examples.

        Raises DatasetError, and ConfigurationError for a data set without examples.
        """
        key = dataset, limit, shots
        if key not in self._drawn:
            self._drawn[key] = self._draw(dataset, limit, shots)
        return self._drawn[key]

    def _draw(self, dataset: str, limit: int | None, shots: int | None) -> Drawn:
        source = self._source
        items = open_dataset(dataset).load(source)
        digest = check_pins(dataset, items, self._pins, hub=source.folder is None)
        notes = part_note(dataset, items)
        if shots is not None:
            examples = read_examples(dataset, source, self._pins)
            items, note = with_shots(items, examples, shots, self._seed)
            digest, notes = digest_of(items), (*notes, note)
        return Drawn(select(items, limit, self._seed), digest, notes, len(items))

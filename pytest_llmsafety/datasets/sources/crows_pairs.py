"""CrowS-Pairs: two sentences that differ in whom they are about (arXiv 2010.00133)."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.datasets.files import find_local, read_text
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import PairItem

if TYPE_CHECKING:
    from pytest_llmsafety.datasets.base import DataSource

HOMEPAGE = "https://github.com/nyu-mll/crows-pairs (data/crows_pairs_anonymized.csv)"
FILE = "crows_pairs_anonymized.csv"
PLACES = (f"crows_pairs/{FILE}", f"crows-pairs/data/{FILE}", f"data/{FILE}", FILE)


@dataclass(frozen=True)
class CrowSPairs:
    """The 1,508 pairs, each by itself; the group is the kind of bias (`bias:religion`)."""

    name: ClassVar[str] = "crows_pairs"

    def load(self, source: DataSource) -> tuple[PairItem, ...]:
        """Read the authors' table; ids are `crows_pairs/<row from 0>`.

        Raises DatasetError as in Dataset.
        """
        (path,) = find_local(source, PLACES, name=self.name, homepage=HOMEPAGE)
        return items_of(read_text(path))


def items_of(text: str) -> tuple[PairItem, ...]:
    """Items of the table; `sent_more` is the more stereotyping sentence, in either direction."""
    items = []
    for number, row in enumerate(csv.DictReader(io.StringIO(text))):
        try:
            more, less, kind = row["sent_more"].strip(), row["sent_less"].strip(), row["bias_type"]
        except (KeyError, AttributeError) as error:
            message = f"row {number} is not of CrowS-Pairs ({error!r}): {str(row)[:200]}"
            raise DatasetError(message) from error
        if not (more and less and kind):
            message = f"row {number} of CrowS-Pairs has an empty field: {str(row)[:200]}"
            raise DatasetError(message)
        items.append(
            PairItem(f"crows_pairs/{number}", more, (f"bias:{kind}",), more=more, less=less)
        )
    return tuple(items)

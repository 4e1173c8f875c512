"""CrowS-Pairs: two sentences that differ in whom they are about (arXiv 2010.00133)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.datasets.files import find_local, read_table
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import PairItem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_llmsafety.datasets.base import DataSource

HOMEPAGE = "https://github.com/nyu-mll/crows-pairs (data/crows_pairs_anonymized.csv)"
FILE = "crows_pairs_anonymized.csv"
PLACES = (f"crows_pairs/{FILE}", f"crows-pairs/data/{FILE}", f"data/{FILE}", FILE)


@dataclass(frozen=True)
class CrowSPairs:
    """The 1,508 pairs; the group is the kind of bias (`bias:religion`)."""

    name: ClassVar[str] = "crows_pairs"

    def load(self, source: DataSource) -> tuple[PairItem, ...]:
        """Read the authors' table; ids are `crows_pairs/<row from 0>`."""
        (path,) = find_local(source, PLACES, name=self.name, homepage=HOMEPAGE)
        rows = read_table(path, ("sent_more", "sent_less", "bias_type"))
        return tuple(_item(number, row) for number, row in enumerate(rows))


def _item(number: int, row: Mapping[str, str]) -> PairItem:
    """Return one pair; `sent_more` is the more stereotyping sentence, in either direction."""
    more, less, kind = row["sent_more"].strip(), row["sent_less"].strip(), row["bias_type"]
    if not (more and less and kind):
        message = f"row {number} of CrowS-Pairs has an empty field. Fetch the original again."
        raise DatasetError(message)
    return PairItem(f"crows_pairs/{number}", more, (f"bias:{kind}",), more=more, less=less)

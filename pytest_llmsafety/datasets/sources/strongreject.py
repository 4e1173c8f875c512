"""StrongREJECT: forbidden questions in six categories (Souly et al. 2024, arXiv 2402.10260)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.datasets.files import find_local, read_table
from pytest_llmsafety.types import RequestItem

if TYPE_CHECKING:
    from pytest_llmsafety.datasets.base import DataSource

HOMEPAGE = (
    "https://github.com/alexandrasouly/strongreject (strongreject_dataset/strongreject_dataset.csv)"
)
PLACES = (
    "strongreject/strongreject_dataset.csv",
    "strongreject_dataset/strongreject_dataset.csv",
    "harmbench/strongreject_dataset.csv",
    "strongreject_dataset.csv",
)


@dataclass(frozen=True)
class StrongREJECT:
    """Questions that should be refused; the group is the category (`category:Violence`)."""

    name: ClassVar[str] = "strongreject"

    def load(self, source: DataSource) -> tuple[RequestItem, ...]:
        """Read the authors' table; ids are `strongreject/<row from 0>`."""
        (path,) = find_local(source, PLACES, name="StrongREJECT", homepage=HOMEPAGE)
        return tuple(
            RequestItem(
                f"strongreject/{number}",
                row["forbidden_prompt"].strip(),
                (f"category:{row['category']}",),
            )
            for number, row in enumerate(read_table(path, ("category", "forbidden_prompt")))
        )

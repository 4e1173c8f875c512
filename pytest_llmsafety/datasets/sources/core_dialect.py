"""The packaged pairs of sentences, by feature of African American English (docs/core.md)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.datasets.files import read_json
from pytest_llmsafety.datasets.sources.dialect_pairs import Pair, items_of

if TYPE_CHECKING:
    from pytest_llmsafety.datasets.base import DataSource
    from pytest_llmsafety.types import TextItem

FILE = Path(__file__).with_name("core") / "dialect.json"


@dataclass(frozen=True)
class CoreDialect:
    """200 pairs that differ in one grammatical feature, five of each of 40 features.

    The cluster is the feature: sentences of one feature are not independent.
    """

    name: ClassVar[str] = "core-dialect"

    def load(self, source: DataSource) -> tuple[TextItem, ...]:
        """Return two items a pair; ids are `core-dialect/<feature>/<number from 1>/<AAE|SAE>`."""
        return items_of(
            self.name,
            [
                Pair(f"{listed['feature']}/{number}", aae, sae, listed["feature"])
                for listed in read_json(FILE)["features"]
                for number, (aae, sae) in enumerate(listed["pairs"], start=1)
            ],
        )

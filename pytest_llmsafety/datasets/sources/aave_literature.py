"""Literature by African American authors (J. Henry's AAVE corpora), book by book."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.datasets.files import find_local
from pytest_llmsafety.datasets.sources.documents import items_of, read_documents

if TYPE_CHECKING:
    from pytest_llmsafety.datasets.base import DataSource
    from pytest_llmsafety.types import TextItem

GROUPS = ("dialect:AAVE",)
HOMEPAGE = "https://github.com/jazmiahenry/aave_corpora (AAVE Corpora/*.txt)"
PLACES = (
    "aave_corpora/AAVE Corpora/*.txt",
    "AAVE Corpora/*.txt",
    "aave_corpora/aave_literature.jsonl*",
    "aave_literature.jsonl*",
)


@dataclass(frozen=True)
class AaveLiterature:
    """Novels whose authors or characters speak AAVE; the cluster is the book."""

    name: ClassVar[str] = "aave_literature"

    def load(self, source: DataSource) -> tuple[TextItem, ...]:
        """Read the books, or JSON lines (`text`); ids are `aave_literature/<file>/<number from 0>`.

        Books are cut into passages as in `text:PATH`; a book that is not UTF-8 is read as
        Windows-1252.
        """
        found: list[TextItem] = []
        for path in find_local(source, PLACES, name=self.name, homepage=HOMEPAGE):
            name = f"{self.name}/{path.name}"
            passages = items_of(read_documents(path, otherwise="cp1252"), name, GROUPS)
            is_book = path.suffix == ".txt"
            found += [replace(item, cluster=name) if is_book else item for item in passages]
        return tuple(found)

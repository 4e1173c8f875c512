"""XSTest: safe prompts that look unsafe, and their unsafe counterparts (arXiv 2308.01263)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.datasets.files import read_table, rows_of
from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.types import RequestItem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_llmsafety.datasets.base import DataSource

TABLE = HubTable("Paul/XSTest", "f600c994b256f12867dfa5b3eb3d545a3e62f8b5")
HOMEPAGE = "https://github.com/paul-rottger/xstest (xstest_prompts.csv)"
PLACES = ("xstest/xstest_prompts.csv", "xstest_prompts.csv")
COLUMNS = ("id", "prompt", "type", "label")
LABELS = ("safe", "unsafe")


@dataclass(frozen=True)
class XSTest:
    """250 safe and 200 unsafe requests; the group is the type (`type:homonyms`)."""

    name: ClassVar[str] = "xstest"
    kept: ClassVar[tuple[bool, ...]] = (False, True)

    def load(self, source: DataSource) -> tuple[RequestItem, ...]:
        """Read the authors' table; ids are `xstest/<the table's id>`."""
        read = partial(read_table, columns=COLUMNS)
        rows = rows_of(source, PLACES, table=TABLE, homepage=HOMEPAGE, read=read)
        return tuple(item for item in map(_item, rows) if item.harmful in self.kept)


@dataclass(frozen=True)
class XSTestSafe(XSTest):
    """The safe requests alone, which should not be refused."""

    name: ClassVar[str] = "xstest-safe"
    kept: ClassVar[tuple[bool, ...]] = (False,)


@dataclass(frozen=True)
class XSTestUnsafe(XSTest):
    """The unsafe requests alone."""

    name: ClassVar[str] = "xstest-unsafe"
    kept: ClassVar[tuple[bool, ...]] = (True,)


def _item(row: Mapping[str, Any]) -> RequestItem:
    return RequestItem(
        f"xstest/{row['id']}",
        row["prompt"].strip(),
        (f"type:{row['type']}",),
        harmful=bool(LABELS.index(row["label"])),
    )

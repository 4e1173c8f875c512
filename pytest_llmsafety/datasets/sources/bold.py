"""BOLD: beginnings of Wikipedia sentences about groups (Dhamala et al., arXiv 2101.11718)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.datasets.files import find_files, read_json
from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import SubjectItem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pytest_llmsafety.datasets.base import DataSource

TABLE = HubTable("AmazonScience/bold", "be5f5a99b386a7c4fa7ea905685ee2d2c98301eb")
HOMEPAGE = "https://github.com/amazon-science/bold (prompts/*.json)"
PEOPLE = ("gender:", "race:")
PLACES = ("bold/prompts/*_prompt.json", "prompts/*_prompt.json", "*_prompt.json")


@dataclass(frozen=True)
class BOLD:
    """Prompts with a group each, such as `race:Asian_Americans`; the cluster is the page."""

    name: ClassVar[str] = "bold"

    def load(self, source: DataSource) -> tuple[SubjectItem, ...]:
        """Read `prompts/<domain>_prompt.json`; ids are `bold/<domain>/<group>/<page>/<number>`."""
        if source.folder is None:
            return items_of(TABLE.rows())
        files = find_files(source.folder, PLACES, homepage=HOMEPAGE, table=TABLE)
        return items_of(row for path in files for row in _rows(path))


@dataclass(frozen=True)
class BOLDPeople:
    """The prompts of BOLD's domains gender and race that name the person they are about."""

    name: ClassVar[str] = "bold_people"

    def load(self, source: DataSource) -> tuple[SubjectItem, ...]:
        """Return items of BOLD, under the same ids."""
        items = BOLD().load(source)
        return tuple(item for item in items if item.term and item.groups[0].startswith(PEOPLE))


def items_of(rows: Iterable[dict[str, Any]]) -> tuple[SubjectItem, ...]:
    """Return the items of rows (domain, category, name, prompts), sorted by the first three.

    A text that stands in several rows is one item in all their groups, so that it counts once
    overall. Blank prompts are left out, white space at the end is cut.
    """
    ordered = sorted(rows, key=lambda row: (row["domain"], row["category"], row["name"]))
    prompts = [(row, number, text) for row in ordered for number, text in enumerate(row["prompts"])]
    found: dict[str, SubjectItem] = {}
    for row, number, raw in prompts:
        text, group = raw.rstrip(), f"{row['domain']}:{row['category']}"
        page = f"{row['domain']}/{row['category']}/{row['name']}"
        if not text:
            continue
        new = SubjectItem(
            f"bold/{page}/{number}", text, (), row["name"], term=named(row["name"], text)
        )
        item = found.setdefault(text, new)
        if group not in item.groups:
            found[text] = replace(item, groups=(*item.groups, group))
    return tuple(found.values())


def named(page: str, prompt: str) -> str:
    """Return the page's name as the prompt writes it; empty when the whole name is not in it."""
    name = re.escape(page.replace("_", " "))
    match = re.search(rf"(?<!\w){name}(?!\w)", prompt, re.IGNORECASE)
    return match.group() if match else ""


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    domain = path.name.removesuffix("_prompt.json")
    content = read_json(path)
    if not isinstance(content, dict) or not all(isinstance(v, dict) for v in content.values()):
        message = f"'{path}' is not a BOLD file. Expected {{group: {{page: [prompts]}}}}."
        raise DatasetError(message)
    for category, pages in content.items():
        for name, prompts in pages.items():
            yield {"domain": domain, "category": category, "name": name, "prompts": prompts}

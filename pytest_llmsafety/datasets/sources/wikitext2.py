"""WikiText-2: test and validation articles (Merity et al., arXiv 1609.07843), with `<unk>`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.datasets.files import find_files, read_text
from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import TextItem

if TYPE_CHECKING:
    from pytest_llmsafety.datasets.base import DataSource

TABLE = HubTable(
    "Salesforce/wikitext",
    "b08601e04326c79dfdd32d625aee71d232d685c3",
    config="wikitext-2-v1",
    split="test",
)
HOMEPAGE = "https://github.com/pytorch/examples (word_language_model/data/wikitext-2/)"
PLACES = (
    "wikitext2/test.txt",
    "wikitext-2/test.txt",
    "wikitext-2/wiki.test.tokens",
    "wiki.test.tokens",
    "test.txt",
)
BLANK = " \n"
TITLE = re.compile(r" = [^=].* = \n")


@dataclass(frozen=True)
class WikiText2:
    """Whole and unchanged articles, one an item."""

    name: ClassVar[str] = "wikitext2"

    def load(self, source: DataSource) -> tuple[TextItem, ...]:
        """Read the test, then the validation articles; ids are `wikitext2/<article from 0>`.

        A folder may hold the test file alone: `test.txt` without `valid.txt`. The hub stores blank
        lines as empty rows; they become lines again, as in the file.
        """
        if source.folder is None:
            tables = TABLE, replace(TABLE, split="validation")
            texts = ["".join(row["text"] or BLANK for row in table.rows()) for table in tables]
        else:
            (path,) = find_files(source.folder, PLACES, homepage=HOMEPAGE, table=TABLE)
            further = path.with_name(path.name.replace("test", "valid"))
            texts = [read_text(file) for file in (path, further) if file.is_file()]
        items: tuple[TextItem, ...] = ()
        for text in texts:
            items += items_of(text, first=len(items))
        return items


def items_of(text: str, *, first: int = 0) -> tuple[TextItem, ...]:
    """Return the articles of a text, from title ` = Title = ` to title, numbered from `first`.

    A title stands alone between blank lines. Formulas such as ` = 1 / s = ` inside a paragraph do
    not begin an article. Raises DatasetError when there is no title, or text before the
    first one.
    """
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    starts = [
        number
        for number, line in enumerate(lines)
        if TITLE.fullmatch(line) and _blank(lines, number - 1) and _blank(lines, number + 1)
    ]
    if not starts or "".join(lines[: starts[0]]).strip():
        message = "not a WikiText-2 file: it does not begin with a ' = Title = ' line."
        raise DatasetError(message)
    ends = [*starts[1:], len(lines)]
    return tuple(
        TextItem(f"wikitext2/{number}", "".join(lines[start:end]))
        for number, (start, end) in enumerate(zip(starts, ends, strict=True), first)
    )


def _blank(lines: list[str], number: int) -> bool:
    return not 0 <= number < len(lines) or not lines[number].strip()

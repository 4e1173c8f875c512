"""WikiText-2, article by article."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.pins import check_pins, digest_of
from pytest_llmsafety.datasets.sources.wikitext2 import WikiText2, items_of
from pytest_llmsafety.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

TEXT = " \n = One = \n \n Text . \n = 1 / s = \n more \n = = Part = = \n \n = Two = \n \n End . \n"


def test_an_article_begins_at_a_title_between_blank_lines() -> None:
    """Neither a formula in a paragraph nor a section heading begins an article."""
    first, second = items_of(TEXT)
    assert first.prompt.startswith(" = One = \n")
    assert " = 1 / s = \n" in first.prompt
    assert " = = Part = = \n" in first.prompt
    assert second.prompt == " = Two = \n \n End . \n"


def test_no_text_is_lost_or_changed() -> None:
    """The articles joined are the file without the blank line before the first title."""
    assert " \n" + "".join(item.prompt for item in items_of(TEXT)) == TEXT


@pytest.mark.parametrize("text", ["", "No title here .\n", " Text . \n \n = One = \n \n"])
def test_another_text_is_refused(text: str) -> None:
    """A file that does not begin with a title is none of the authors'."""
    with pytest.raises(DatasetError, match="not a WikiText-2 file"):
        items_of(text)


def test_the_shared_files_hold_120_articles(shared: Path) -> None:
    """As many as the paper counts, 60 in each file; joined they are the files, byte for byte."""
    items = WikiText2().load(DataSource(shared / "data"))
    assert [item.id for item in items] == [f"wikitext2/{number}" for number in range(120)]
    for name, part in (("test", items[:60]), ("valid", items[60:])):
        text = (shared / f"data/wikitext2/{name}.txt").read_bytes().decode()
        assert " \n" + "".join(item.prompt for item in part) == text


def test_a_folder_may_hold_the_test_articles_alone(shared: Path, tmp_path: Path) -> None:
    """They are the first 60 of all, and pass their own pin."""
    (tmp_path / "wikitext2").mkdir()
    shutil.copyfile(shared / "data/wikitext2/test.txt", tmp_path / "wikitext2/test.txt")
    items = WikiText2().load(DataSource(tmp_path))
    assert items == WikiText2().load(DataSource(shared / "data"))[:60]
    assert check_pins("wikitext2", items, {}) == digest_of(items)
    with pytest.raises(DatasetError, match="60 items"):
        check_pins("wikitext2", items, {}, hub=True)

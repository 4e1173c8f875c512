"""What is written from the code, public names and tables of the docs, is as the code is now."""

from __future__ import annotations

import pytest

from tools.write_tables import BLOCKS, ROOT, suite_margins, written


@pytest.mark.parametrize(("file", "block"), BLOCKS, ids=map(": ".join, BLOCKS))
def test_no_table_is_stale(file: str, block: str) -> None:
    """`python -m tools.write_tables` would change nothing."""
    fresh = written(file, block) == (ROOT / file).read_text("utf-8")
    assert fresh, f"{file}: '{block}' is stale. Run: python -m tools.write_tables"


def test_the_margins_are_those_of_the_suites() -> None:
    """The calls of assertions in `suites/` are found, each with its margin."""
    assert suite_margins()["qa"] == {"assert_qa_drop": 0.05, "assert_flip_rate": 0.1}


def test_the_page_of_measurements_is_linked() -> None:
    """From the README and the page on the papers; the site's own test checks its navigation."""
    assert "docs/measurements.md" in (ROOT / "README.md").read_text("utf-8")
    assert "(measurements.md)" in (ROOT / "docs" / "papers.md").read_text("utf-8")

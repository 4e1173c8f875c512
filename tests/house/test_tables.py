"""What is written from the code, public names and tables of the docs, is as the code is now."""

from __future__ import annotations

import pytest

from tools.write_tables import BLOCKS, ROOT, written


@pytest.mark.parametrize(("file", "block"), BLOCKS, ids=" ".join)
def test_no_table_is_stale(file: str, block: str) -> None:
    """`python -m tools.write_tables` would change nothing."""
    fresh = written(file, block) == (ROOT / file).read_text("utf-8")
    assert fresh, f"{file}: '{block}' is stale. Run: python -m tools.write_tables"

"""Tests lie where the package has its rooms, and what they share lies in files of its own."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "tests" / "unit"
IMPORT = re.compile(r"^\s*(?:from|import) (tests\b[\w.]*)", re.MULTILINE)


def test_unit_tests_mirror_the_package() -> None:
    """Each folder of tests/unit is a folder of the package."""
    folders = {path.parent.relative_to(UNIT) for path in UNIT.rglob("*.py")}
    assert {
        str(path) for path in folders if not (ROOT / "pytest_llmsafety" / path).is_dir()
    } == set()


def test_test_files_do_not_import_each_other() -> None:
    """They import from files that are there and hold no tests."""
    imports = {
        (path.relative_to(ROOT).as_posix(), ROOT.joinpath(*name.split(".")).with_suffix(".py"))
        for path in ROOT.joinpath("tests").rglob("*.py")
        for name in IMPORT.findall(path.read_text("utf-8"))
    }
    wrong = [(a, b.name) for a, b in imports if not b.exists() or b.name.startswith("test_")]
    assert wrong == []

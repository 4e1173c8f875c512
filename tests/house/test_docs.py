"""The docs tell the truth: their code runs, their links lead somewhere, their flags exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_llmsafety.config.options import FLAGS

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])
PYTHON = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)[^)]*\)")
FLAG = re.compile(r"--llmsafety-([a-z][a-z-]*)")
CODED = [page for page in PAGES if PYTHON.search(page.read_text("utf-8"))]


@pytest.mark.parametrize("page", CODED, ids=lambda page: page.name)
def test_python_blocks_run(page: Path) -> None:
    """The code of a page runs from top to bottom; tests in it are defined, not run."""
    names: dict[str, object] = {"__name__": page.stem}
    for code in PYTHON.findall(page.read_text("utf-8")):
        alone = compile(code, page.name, "exec", dont_inherit=True)  # without our own __future__
        exec(alone, names)  # noqa: S102 - our own pages


def test_links_lead_somewhere() -> None:
    """Every relative link of a page names a file of the project."""
    links = {(page, link) for page in PAGES for link in LINK.findall(page.read_text("utf-8"))}
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []


def test_flags_exist() -> None:
    """A page names no flag that is not there."""
    names = {flag.name for flag in FLAGS}
    flags = {(page.name, flag) for page in PAGES for flag in FLAG.findall(page.read_text("utf-8"))}
    assert {(page, flag) for page, flag in flags if flag not in names} == set()

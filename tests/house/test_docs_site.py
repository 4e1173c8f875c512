"""The docs as a site: MkDocs builds it without a warning, and it asks no other host."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import pytest_llmsafety
from pytest_llmsafety import strategies

ROOT = Path(__file__).resolve().parents[2]
LOADED = re.compile(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=\"((?:https?:)?//[^\"]*)\"")
BASES = {
    "compressors.base.Compressor",
    "compressors.layer_compressor.LayerCompressor",
    "datasets.base.Dataset",
    "metrics.base.Metric",
    "metrics.scorers.base.Scorer",
    "inference.backends.base.Backend",
    "reports.run.Report",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning, such as of a page that is not in `nav`, fails the build.

    Not with --quiet, under which MkDocs counts no warnings.
    """
    if not (find_spec("mkdocs") and find_spec("mkdocstrings_handlers")):
        pytest.skip("MkDocs is absent: pip install 'pytest-llmsafety[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable, "-m", "mkdocs", "build", "--strict",
        "--config-file", "docs/site/mkdocs.yml", "--site-dir", str(folder),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_built(site: Path) -> None:
    """Each page of docs/ is there, and so are the README, the changelog and the figures."""
    pages = {path.stem for path in ROOT.glob("docs/*.md")} | {"index", "changelog", "benchmarks"}
    assert pages <= {path.stem for path in site.glob("*.html")}


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    """Pages name no script, style, font or image of another host: they work offline."""
    pages = {path.name: path.read_text("utf-8") for path in site.glob("**/*.html")}
    assert {name: LOADED.findall(text) for name, text in pages.items() if LOADED.search(text)} == {}
    styles = [path.read_text("utf-8") for path in site.glob("**/*.css")]
    assert [text for text in styles if re.search(r"url\([\"']?(?:https?:)?//", text)] == []


def test_the_reference_has_every_public_name(site: Path) -> None:
    """What tests import and what extensions extend has a place of its own in the API pages."""
    known = {
        line.split()[0].removeprefix("pytest_llmsafety.")
        for page in ("api", "api-extend")
        for line in re.findall(
            r'id="(pytest_llmsafety\.[\w.]+)"', (site / f"{page}.html").read_text("utf-8")
        )
    }
    last = {name.rpartition(".")[2] for name in known}
    assert set(pytest_llmsafety.__all__) - last == set()
    assert set(strategies.__all__) - last == set()
    assert BASES - known == set()

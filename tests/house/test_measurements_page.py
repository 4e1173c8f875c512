"""docs/measurements.md names every measurement as the code makes and judges it."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

from pytest_llmsafety.assertions.applicability import packaged_assertions
from pytest_llmsafety.datasets.packaged import PACKAGED
from pytest_llmsafety.measurements.catalog import MEASUREMENTS
from pytest_llmsafety.metrics import METRICS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "measurements.md"
ROW = re.compile(r"^\| `(\w+)` \| (.+) \|$", re.MULTILINE)


def rows() -> dict[str, list[str]]:
    """The cells of the table behind each measurement's name."""
    return {
        name: re.split(r"(?<!\\) ?\| ?", cells)
        for name, cells in ROW.findall(PAGE.read_text("utf-8"))
    }


def suite_margins() -> dict[str, dict[str, float]]:
    """The margin with which the suites judge each measurement, by assertion."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for path in (ROOT / "suites").glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            text = ast.unparse(node) if isinstance(node, ast.Call) else ""
            call = re.fullmatch(r"(assert_\w+)\(measure\('(\w+)'\), margin=([\d.]+).*\)", text)
            if call:
                found[call[2]][call[1]] = float(call[3])
    return found


def test_the_table_has_every_measurement() -> None:
    """In the order of `recipes.MEASUREMENTS`."""
    assert list(rows()) == list(MEASUREMENTS)


def test_metric_and_data_sets_are_those_of_the_recipes() -> None:
    """`none` stands where the built-in model or the packaged core has nothing."""
    for name, cells in rows().items():
        recipe = MEASUREMENTS[name]
        made = [recipe.metric, recipe.dataset, recipe.phantom, PACKAGED.get(name, "")]
        assert cells[1:5] == [f"`{one}`" if one else "none" for one in made], name


def test_assertions_are_those_that_judge_it() -> None:
    """All of them, each with the margin that the suites use."""
    margins = suite_margins()
    assert margins["qa"] == {"assert_qa_drop": 0.05, "assert_flip_rate": 0.1}
    for name, cells in rows().items():
        kind = METRICS.load(MEASUREMENTS[name].metric).measures
        told = dict(re.findall(r"`(\w+)`(?: \(([\d.]+)\))?", cells[5]))
        judges = {one for one, judged in packaged_assertions().items() if kind in judged.kinds}
        assert told.keys() == judges, name
        assert {key: float(one) for key, one in told.items() if one} == margins.get(name, {}), name


def test_the_page_is_linked() -> None:
    """From the README and the page on the papers; the site's own test checks its navigation."""
    assert "docs/measurements.md" in (ROOT / "README.md").read_text("utf-8")
    assert "(measurements.md)" in (ROOT / "docs" / "papers.md").read_text("utf-8")

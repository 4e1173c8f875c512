"""What changed since a baseline."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from markupsafe import escape

from pytest_llmsafety.inference.baseline_file import Row
from pytest_llmsafety.reports.baseline_diff import (
    compared,
    differences,
    lines,
    rows,
    summed,
    table,
)
from pytest_llmsafety.reports.html.page import HtmlReport
from pytest_llmsafety.reports.json_report import JsonReport
from pytest_llmsafety.reports.pull_request import Summary
from pytest_llmsafety.reports.run import Run, SafetyTest, Since
from tests.unit.reports.verdicts import DECISION, FAIL

OLD = Row("toxicity", "int4", "core", "PASS", 0.02, change=0.01)
NEW = replace(OLD, outcome="FAIL", change=0.05)
OTHER = Row("qa", "int4", "nq_open", "PASS", 0.02)


def test_an_outcome_that_differs_is_named_with_its_figures():
    """`toxicity under int4 PASS -> FAIL`, the changes, and what stayed."""
    since = compared((OLD, OTHER), (OTHER, NEW), file="b", digest="0123456789abcdefgh")
    assert since.changed == ((OLD, NEW),)
    (line,) = lines(since, 200)
    assert line.startswith("since the baseline 0123456789abcdef: toxicity under int4 PASS -> FAIL ")
    assert line.endswith("(change +0.010 -> +0.050); 1 as before.")


def test_another_margin_is_named_with_another_outcome():
    """An outcome can change because the margin did."""
    (line,) = lines(compared((OLD,), (replace(NEW, margin=0.001),), file="b", digest="d"), 200)
    assert "margin 0.02 -> 0.001" in line


def test_nothing_changed_is_one_line():
    """Equal outcomes need no list."""
    since = compared((OLD,), (replace(OLD, change=0.011),), file="b", digest="d")
    assert lines(since, 80) == ["since the baseline d: nothing changed; 1 as before."]


def test_new_and_missing_verdicts_are_counted():
    """What only one of the two judged is neither a change nor the same."""
    since = compared((OLD,), (OTHER,), file="b", digest="d")
    assert (since.new, since.gone, since.changed, since.same) == ((OTHER,), (OLD,), (), 0)
    text = " ".join(lines(since, 100))
    assert "new: qa under int4 PASS" in text
    assert "1 of its verdicts is not in this run" in text


def test_several_of_the_same_are_paired_in_order():
    """Two gates on one measurement do not hide each other."""
    since = compared((OLD, NEW), (OLD, OLD), file="b", digest="d")
    assert since.changed == ((NEW, OLD),)
    assert since.same == 1


TESTED = replace(OLD, test="test_a[int4]", data_digest="0a", scorer="vader", n_items=300)


def test_two_tests_of_one_measurement_are_paired_by_their_names():
    """A test that was not run, or comes in another order, does not pass its verdict on."""
    strict = replace(TESTED, test="test_strict[int4]", outcome="FAIL", margin=0.001)
    since = compared((TESTED, strict), (strict,), file="b", digest="d")
    assert (since.changed, since.gone, since.same) == ((), (TESTED,), 1)
    assert compared((TESTED, strict), (strict, TESTED), file="b", digest="d").same == 2
    new = replace(strict, test="test_other[int4]")
    since = compared((TESTED,), (new,), file="b", digest="d")
    assert (since.new, since.gone) == ((new,), (TESTED,))


def test_a_file_that_names_no_tests_is_paired_as_ever():
    """An older baseline has neither names of tests nor data, so nothing is said to differ."""
    since = compared((OLD,), (replace(TESTED, outcome="FAIL"),), file="b", digest="d")
    assert len(since.changed) == 1
    assert differences(*since.changed[0]) == ""


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ({"data_digest": "1b"}, "other data"),
        ({"dataset": "tiny"}, "other data"),
        ({"scorer": "detoxify"}, "other scorer"),
        ({"n_items": 50}, "items 300 -> 50"),
        ({"scorer": "x", "n_items": 50}, "other scorer, items 300 -> 50"),
    ],
)
def test_a_difference_in_measurement_is_named(other, difference):
    """Beside an outcome that changed, in the table, and as a number where none did."""
    since = compared((TESTED,), (replace(TESTED, outcome="FAIL", **other),), file="b", digest="d")
    assert f", {difference})" in lines(since, 300)[0]
    (row,) = table(since)
    assert row[-1] == difference
    page = HtmlReport().render(Run((), 1, since=since))
    assert f"<td>{escape(difference)}</td>" in page
    alike = compared((TESTED,), (replace(TESTED, **other),), file="b", digest="d")
    counted = "1 as before (1 of them on other data, items or by another scorer)."
    assert lines(alike, 300) == [f"since the baseline d: nothing changed; {counted}"]
    assert counted in summed(alike)[0]


def test_what_was_asked_beside_the_baseline_is_counted():
    """The hint says how to have it in the file next time."""
    text = " ".join(lines(Since("b", "d", not_in_baseline=12), 80))
    assert "12 answers of the dense model were not in the baseline" in text
    assert "--llmsafety-update-baseline" in text


def test_the_first_baseline_is_compared_with_nothing():
    """Writing one without an older one says where it is, and no more."""
    assert lines(Since("b.gz", written="0123456789abcdefgh"), 80) == [
        "baseline written: b.gz (sha256 0123456789abcdefgh)"
    ]


def test_a_row_holds_finite_figures_alone():
    """An infinite bound is left out; JSON has no word for it."""
    verdict = replace(FAIL, decision=replace(DECISION, upper=math.inf), group="a:b")
    (row,) = rows([SafetyTest("t.py::a[int4]", "failed", "", (verdict,))])
    assert row.upper is None
    assert (row.lower, row.outcome, row.margin) == (DECISION.lower, "FAIL", FAIL.margin)
    assert row.name == FAIL.measurement
    assert (row.test, row.n_items) == ("a[int4]", FAIL.n_asked)


def test_the_report_holds_it():
    """`baseline` of report.json is null without one."""
    run = Run((), 0, since=compared((OLD,), (NEW,), file="b", digest="d"))
    baseline = json.loads(JsonReport().render(run))["baseline"]
    assert [row["outcome"] for row in baseline["changed"][0]] == ["PASS", "FAIL"]
    assert json.loads(JsonReport().render(Run((), 0)))["baseline"] is None


def test_the_pages_show_both_sides():
    """report.html and summary.md have a row for each verdict that is not as before."""
    since = compared((OLD, OTHER), (NEW,), file="b", digest="0123456789abcdefgh", not_in_baseline=3)
    run = Run((), 1, since=since)
    counts = "Verdicts against the baseline 0123456789abcdef: 1 changed, 0 new, 1 not in this run"
    summary = Summary().render(run)
    assert counts in summary
    assert "| toxicity | int4 | PASS | +0.010 | 0.02 | FAIL | +0.050 | 0.02 |  |" in summary
    assert "| qa | int4 | PASS | - | 0.02 | - | - | - |  |" in summary
    page = HtmlReport().render(run)
    assert counts in page
    assert '<a href="#since">' in page
    assert page.count('<span class="badge PASS">PASS</span>') == 2
    for view in (Summary(), HtmlReport()):
        assert "baseline" not in view.render(Run((), 1))

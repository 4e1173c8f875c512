"""What changed since a baseline."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from pytest_llmsafety.baseline import Row
from pytest_llmsafety.reports.html.page import HtmlReport
from pytest_llmsafety.reports.json_report import JsonReport
from pytest_llmsafety.reports.pull_request import Summary
from pytest_llmsafety.reports.run import Run
from pytest_llmsafety.reports.since import Since, compared, lines, rows
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


def test_another_margin_is_told_beside_another_outcome():
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
    told = " ".join(lines(since, 80))
    assert "new: qa under int4 PASS" in told
    assert "1 of its verdicts were not judged" in told


def test_several_of_the_same_are_paired_in_order():
    """Two gates on one measurement do not hide each other."""
    since = compared((OLD, NEW), (OLD, OLD), file="b", digest="d")
    assert since.changed == ((NEW, OLD),)
    assert since.same == 1


def test_what_was_asked_beside_the_baseline_is_counted():
    """The hint says how to have it in the file next time."""
    told = " ".join(lines(Since("b", "d", beside=12), 80))
    assert "12 answers of the dense model were not in the baseline" in told
    assert "--llmsafety-update-baseline" in told


def test_the_first_baseline_is_compared_with_nothing():
    """Writing one without an older one says where it is, and no more."""
    assert lines(Since("b.gz", written="0123456789abcdefgh"), 80) == [
        "baseline written: b.gz (sha256 0123456789abcdef)"
    ]


def test_a_row_holds_finite_figures_alone():
    """An infinite bound is left out; JSON has no word for it."""
    (row,) = rows([replace(FAIL, decision=replace(DECISION, upper=math.inf), group="a:b")])
    assert row.upper is None
    assert (row.lower, row.outcome, row.margin) == (DECISION.lower, "FAIL", FAIL.margin)
    assert row.name == FAIL.measurement


def test_the_report_holds_it():
    """`baseline` of report.json is null without one."""
    run = Run((), 0, since=compared((OLD,), (NEW,), file="b", digest="d"))
    told = json.loads(JsonReport().render(run))["baseline"]
    assert [row["outcome"] for row in told["changed"][0]] == ["PASS", "FAIL"]
    assert json.loads(JsonReport().render(Run((), 0)))["baseline"] is None


def test_the_pages_show_both_sides():
    """report.html and summary.md have a row for each verdict that is not as before."""
    since = compared((OLD, OTHER), (NEW,), file="b", digest="0123456789abcdefgh", beside=3)
    run = Run((), 1, since=since)
    counts = "Verdicts against the baseline 0123456789abcdef: 1 changed, 0 new, 1 not judged"
    summary = Summary().render(run)
    assert counts in summary
    assert "| toxicity | int4 | PASS | +0.010 | 0.02 | FAIL | +0.050 | 0.02 |" in summary
    assert "| qa | int4 | PASS | - | 0.02 | - | - | - |" in summary
    page = HtmlReport().render(run)
    assert counts in page
    assert '<a href="#since">' in page
    assert page.count('<span class="badge PASS">PASS</span>') == 2
    for view in (Summary(), HtmlReport()):
        assert "baseline" not in view.render(Run((), 1))

"""summary.md."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pytest_llmsafety.assertions.verdict import GroupEvidence, Verdict, WorstItem
from pytest_llmsafety.reports.html.trade_off import Candidate, answer
from pytest_llmsafety.reports.model_card import ModelCard
from pytest_llmsafety.reports.pull_request import Summary
from pytest_llmsafety.reports.run import Run, SafetyTest
from tests.unit.reports.verdicts import DECISION, FAIL, PASS, RECORD, UNDECIDED, VERDICTS

PARSER = MarkdownIt("commonmark", {"html": True}).enable("table")
EVIL = "</details>|<script>`x`\n```\n# [a](http://b.c) @octocat *b*"


def laden(text: str) -> Run:
    """A run that has `text` wherever a model, a data set or a user can put some."""
    verdict = replace(
        FAIL,
        model=text,
        compression=text,
        measurement=text,
        aspect=text,
        group=text,
        dataset=text,
        scorer=text,
        data_digest=text,
        reasons=(text,),
        notes=(text,),
        assumptions=(text,),
        reproduce=text,
        groups=(GroupEvidence(text, 0.1, 0.13, DECISION),),
        worst=(WorstItem(text, 0.9, text, text, text),),
        record=replace(RECORD, notes=(text,), parameters=((text, text),)),
    )
    tests = (SafetyTest("t.py::a", "failed", "", (verdict,)), SafetyTest(text, "error", text))
    return Run(tests, 1, (("seed", text),), (("pytest", text),))


def run(*verdicts: Verdict, outcome: str = "failed", status: int = 1) -> Run:
    """A run of one test for each verdict."""
    tests = [SafetyTest(f"t.py::{n}", outcome, "", (v,)) for n, v in enumerate(verdicts)]
    return Run(tuple(tests), status, (("seed", "0"),), (("pytest", "9"),))


PASSED = run(PASS, outcome="passed").tests


def test_the_summary_of_a_run() -> None:
    """Headline, counts, a table for each compression, what to do next, and folded parts."""
    text = Summary().render(run(PASS, replace(FAIL, compression="int2")))
    lines = text.splitlines()
    assert lines[:7] == [
        "## ❌ Safety of compression: FAIL",
        "",
        "**1 FAIL, 1 PASS.** pytest exits with 1.",
        "",
        "### Under int4",
        "",
        "The model org/name under int4: 2 layers at 4.25 bits a weight, 9.00 MB -&gt; 3.00 MB.",
    ]
    assert (
        "| measurement | dense | int2 | change | 90% interval | margin | items | verdict |"
    ) in lines
    assert "| toxicity | 0.1 | 0.13 | +0.030 | +0.020..+0.040 | +0.010 | 199/200 | FAIL |" in lines
    (advice,) = [line for line in lines if line.startswith("- **FAIL** toxicity under int2: ")]
    assert "Next: compress less" in advice
    assert text.count("<details>") == text.count("</details>") == 3


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (run(PASS, outcome="passed", status=0), "PASS"),
        (run(PASS), "NO VERDICT"),
        (run(PASS, UNDECIDED, outcome="inconclusive", status=6), "INCONCLUSIVE"),
        (run(PASS, UNDECIDED, FAIL), "FAIL"),
        (run(FAIL, outcome="xfailed", status=0), "FAIL"),
        (Run((SafetyTest("t.py::a", "failed", "ScorerError: x"),), 1), "NO VERDICT"),
        (Run((*run(PASS).tests, SafetyTest("t.py::a", "error", "x")), 1), "NO VERDICT"),
        (Run((*PASSED, SafetyTest("t.py::a", "skipped", "x")), 0), "PASS"),
    ],
)
def test_the_headline_is_the_worst_that_was_found(given: Run, word: str) -> None:
    """A failure that a mark of pytest expects is still a FAIL, and nothing broken is a PASS."""
    assert Summary().render(given).splitlines()[0].endswith(f"Safety of compression: {word}")


def test_a_test_without_verdict_is_named() -> None:
    """What came to no verdict stands with its reason under what to do next."""
    text = Summary().render(Run((SafetyTest("t.py::a[x]", "failed", "ScorerError: a | b"),), 1))
    assert "- **no verdict** (failed): t.py::a\\[x\\]: ScorerError: a &#124; b" in text


@pytest.mark.parametrize("report", [Summary(), ModelCard()])
def test_text_of_models_stays_text(report: Summary | ModelCard) -> None:
    """A hostile run has the headings, tables, HTML and code of a tame one, and calls nobody."""
    shapes = []
    for text in (report.render(laden(EVIL)), report.render(laden("tame"))):
        tokens = [t for top in PARSER.parse(text) for t in (top, *(top.children or []))]
        raw = [t.content for t in tokens if t.type.startswith("html")]
        assert not any("script" in content for content in raw)
        assert not {"link_open", "em_open", "image", "code_inline"} & {t.type for t in tokens}
        prose = "".join(t.content for t in tokens if t.type in ("text", "text_special"))
        assert "@o" not in prose
        assert "http://" not in prose
        shapes.append([(t.type, t.level) for t in tokens if t.block])
    assert shapes[0] == shapes[1]


def many(outcomes: list[Verdict], *, groups: int = 40) -> list[Verdict]:
    """Verdicts with many groups, long texts and a compression each three."""
    item = WorstItem("i", 0.5, "word " * 400, "word " * 400, "word " * 400)
    evidence = tuple(GroupEvidence(f"axis:{n}", 0.1, 0.2, DECISION) for n in range(groups))
    return [
        replace(
            one, measurement=f"m{n}", compression=f"wanda:0.{n // 3}", groups=evidence,
            worst=(item,) * 3, reasons=(f"{n} " + "because " * 60,), reproduce=f"pytest t.py::{n}",
            assumptions=(f"assumed {n} " + "and so on " * 30,),
        )
        for n, one in enumerate(outcomes)
    ]  # fmt: skip


@pytest.mark.parametrize("number", [60, 360])
def test_a_large_summary_fits_into_a_comment_of_github(number: int) -> None:
    """It has every row of a FAIL, fewer of the other parts, and says how many are missing."""
    text = Summary().render(run(*many([PASS, FAIL, UNDECIDED] * (number // 3))))
    assert len(text) < 60_000
    lines = text.splitlines()
    assert sum(line.startswith("|") and line.endswith("| FAIL |") for line in lines) == number // 3
    assert lines.index("### What to do next") < lines.index("<summary>Worst items</summary>")
    assert re.search(r"^- \d+ more in report.json$", text, re.MULTILINE)
    assert PARSER.parse(text)[-1].type == "html_block"
    assert text.count("<details>") == text.count("</details>")


def test_rows_that_do_not_fit_are_the_least_grave() -> None:
    """With hundreds of verdicts no PASS takes the place of a FAIL, and the rest is counted."""
    text = Summary().render(run(*many([PASS] * 90 + [UNDECIDED] * 300 + [FAIL] * 240, groups=0)))
    assert len(text) < 60_000
    rows = [line.rsplit("| ", 2)[-1] for line in text.splitlines() if line.startswith("| m")]
    assert rows.count("FAIL |") == 240
    assert 0 < rows.count("INCONCLUSIVE |") < 300
    assert rows.count("PASS |") == 0
    missing = 300 - rows.count("INCONCLUSIVE |")
    assert f"**Cut:** {missing} more INCONCLUSIVE verdicts, 90 more PASS verdicts" in text


@pytest.mark.parametrize("word", ["`", "&@", "\x1b", "a "])
def test_no_text_is_too_long_for_a_summary(word: str) -> None:
    """A very long text, and one that escaping makes longer, is cut or left out."""
    assert len(Summary().render(laden(word * 50_000))) < 60_000


@settings(max_examples=40, deadline=None)
@given(st.lists(VERDICTS, min_size=1, max_size=3))
def test_any_verdict_can_be_written(verdicts: list[Verdict]) -> None:
    """No combination of missing figures stops either page; both can be stored as UTF-8."""
    for report in (Summary(), ModelCard()):
        assert report.render(run(*verdicts)).encode("utf-8").endswith(b"\n")


def test_a_pass_on_these_items_is_not_announced_as_a_general_one() -> None:
    """The headline's line and the page's answer say that other prompts are not spoken of."""
    suite = replace(PASS, scope="suite", n_suite=199)
    run = Run((SafetyTest("t.py::a[int4]", "passed", "", (suite,), compression="int4"),), 0)
    head = Summary().render(run).splitlines()[2]
    assert "Suite scope: 1 of 1 verdicts are about the items that were asked" in head
    assert "say nothing of other prompts" in answer([Candidate("int4", (suite,), 0)])

"""Texts that a model or a data set might hold to harm the reader of a report."""

from __future__ import annotations

from dataclasses import replace

from pytest_llmsafety.assertions.verdict import GroupEvidence, Verdict, WorstItem
from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.inference.baseline_file import Row
from pytest_llmsafety.measurements.measurement import Figure
from pytest_llmsafety.models.deployment import Difference
from pytest_llmsafety.reports.run import Run, SafetyTest, Since
from tests.unit.reports.verdicts import DECISION, FAIL

MARKER = "injected"
SCRIPT = f"<script>document.title='{MARKER}'</script>"
TEXTS = {
    "script": SCRIPT,
    "handler": f"<img src=x id={MARKER} onerror=\"document.title='{MARKER}'\">",
    "way out": f"--></style></title></svg></textarea>]]>'\"><b id={MARKER}>{SCRIPT}",
    "template": "{{ 7 * 191 }}{% for i in range(9) %}{{ run }}{% endfor %}",
    "link": f"<a href=\"javascript:document.title='{MARKER}'\">x</a>",
    "style": f"<style>body{{display:none}}</style><p style=color:red class={MARKER}>",
    "frame": "<iframe src=https://example.org></iframe><meta http-equiv=refresh content=0;url=//x>",
    "terminal": "\x1b[2J\x1b]0;owned\x07\x00\x08\r\n",
    "direction": "\u202egnp.exe\u2066\u200f\u2069",
    "formula": r"$\frac{1}{0}$ $unclosed \usepackage{x} $$",
    "lone surrogate": "\ud800 \ufffe \uffff",
    "combining": "Z" + "\u0301\u0327" * 300,
    "long word": "a" * 1_000_000,
    "long line": "lorem <i> & " * 90_000,
    "arabic": "هذا نص عادي",
}


def hostile_run() -> Run:
    """One failed test for each text, which stands in every field that holds any text."""
    tests = [
        SafetyTest(f"t.py::{text}[int4]", "failed", text, (verdict_of(text),), compression=text)
        for text in TEXTS.values()
    ]
    broken = [
        SafetyTest(f"t.py::b{text}[int4]", "error", text, compression=text)
        for text in TEXTS.values()
    ]
    rows = tuple((text, text) for text in TEXTS.values())
    words = " ".join(TEXTS.values())
    old = tuple(Row(text, text, text, text) for text in TEXTS.values())
    since = Since(words, words, new=old, gone=old, written=words, problem=words)
    return Run((*tests, *broken), 1, rows, rows, (), since, words, words, rows, rows)


def verdict_of(text: str) -> Verdict:
    """A FAIL whose every text is `text`."""
    record = CompressionRecord(
        text, ((text, text),), (text,), ((text, text),), 4.0, 0.0, 9, 3, (text,),
        calibration=((text, text),),
    )  # fmt: skip
    return replace(
        FAIL,
        measurement=text,
        model=text,
        compression=text,
        dataset=text,
        scope=text,
        aspect=text,
        group=text,
        scorer=text,
        reasons=(text,),
        assumptions=(text,),
        notes=(text,),
        figures=(Figure(text, 0.1, 0.2),),
        groups=(GroupEvidence(text, 0.1, 0.2, DECISION),),
        worst=(WorstItem(text, 0.5, text, text, text),),
        record=record,
        reproduce=text,
        data_digest=text,
        artefact=(Difference(text, text, text),),
    )

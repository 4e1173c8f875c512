"""The rules of refusal against what people said of 450 answers (XSTest's labelled completions)."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from pytest_llmsafety.metrics.refusal_rules import refuses

if TYPE_CHECKING:
    from pathlib import Path

MODELS = {"mistralinstruct": (50, 15, 26)}
"""By model: refusals found, false alarms and refusals missed, where partial ones count."""


def rows_of(shared: Path, model: str) -> list[dict[str, str]]:
    """The authors' table: an answer, what people call it, and what their own matching does."""
    path = shared / "data" / "xstest" / f"xstest_v2_completions_{model}_streval.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def counted(found: list[bool], true: list[bool]) -> tuple[int, int, int]:
    """Refusals found, false alarms, refusals missed."""
    both = list(zip(found, true, strict=True))
    return both.count((True, True)), both.count((True, False)), both.count((False, True))


@pytest.mark.parametrize("model", MODELS)
def test_the_rules_agree_with_people(shared: Path, model: str) -> None:
    """Precision .77 and recall .66 on a model that rebukes more than it refuses, agreement .91."""
    rows = rows_of(shared, model)
    found = [refuses(row["completion"]) for row in rows]
    true = [not row["final_label"].startswith("1") for row in rows]
    assert counted(found, true) == MODELS[model]


@pytest.mark.parametrize("model", MODELS)
def test_the_rules_find_more_than_the_authors_matching(shared: Path, model: str) -> None:
    """On the half that was not read when the rules were written; at the price of 5 more alarms.

    The authors' rules ask for exact beginnings, and find 8 of the 36 refusals there.
    """
    rows = rows_of(shared, model)[1::2]
    true = [not row["final_label"].startswith("1") for row in rows]
    theirs = counted([row["strmatch_label"].startswith("2") for row in rows], true)
    ours = counted([refuses(row["completion"]) for row in rows], true)
    assert (theirs, ours) == ((8, 1, 28), (19, 6, 17))

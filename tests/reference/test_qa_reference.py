"""Exact match and F1 against SQuAD's official script, to 1e-9."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmsafety.metrics.exact_match import ExactMatch, exact_match, f1, normalise
from pytest_llmsafety.types import Generation, QuestionItem

if TYPE_CHECKING:
    from pathlib import Path

TOLERANCE = 1e-9


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, Any]:
    """Forty predictions with the official script's verdicts."""
    content: dict[str, Any] = json.loads((shared / "golden/qa/qa_rouge.json").read_text())
    return content


def test_normalisation_equals_the_official_one(golden: dict[str, Any]) -> None:
    """Case, punctuation, articles, white space, of predictions and references."""
    for pair in golden["pairs"]:
        assert normalise(pair["prediction"]) == pair["normalized_prediction"], pair["kind"]
        assert [normalise(text) for text in pair["references"]] == pair["normalized_references"]


def test_each_pair_equals_the_official_script(golden: dict[str, Any]) -> None:
    """Exact match and F1 of SQuAD v1.1, where both normalise to nothing too."""
    for pair in golden["pairs"]:
        found = (
            exact_match(pair["prediction"], pair["references"]),
            f1(pair["prediction"], pair["references"]),
        )
        wanted = (pair["squad11"]["em"], pair["squad11"]["f1"])
        assert found == pytest.approx(wanted, abs=TOLERANCE), pair["kind"]


def test_the_means_equal_the_official_script(golden: dict[str, Any]) -> None:
    """The means in percent over all pairs."""
    pairs, wanted = golden["pairs"], golden["aggregate_squad11"]
    matches = [exact_match(pair["prediction"], pair["references"]) for pair in pairs]
    overlaps = [f1(pair["prediction"], pair["references"]) for pair in pairs]
    assert 100 * sum(matches) / len(pairs) == pytest.approx(wanted["exact_match"], abs=TOLERANCE)
    assert 100 * sum(overlaps) / len(pairs) == pytest.approx(wanted["f1"], abs=TOLERANCE)


def test_the_metric_is_stricter_in_two_ways_only(golden: dict[str, Any]) -> None:
    """It reads the first line, and an empty answer is wrong; all other pairs score the same."""
    differing = set()
    for pair in golden["pairs"]:
        item = QuestionItem("q", pair["prompt"], answers=tuple(pair["references"]))
        (score,) = ExactMatch().scores([item], [(Generation((pair["prediction"],)),)])
        if score.value != pair["squad11"]["em"]:
            differing.add(pair["kind"])
    assert differing == {
        "answer then rambling on new lines",
        "gold normalises to empty, pred empty",
    }

"""ROUGE of our summaries against golden values of rouge-score, stemmed, best reference."""

from __future__ import annotations

import json

import pytest

from pytest_llmsafety.metrics.rouge import KINDS, Rouge, rouge
from pytest_llmsafety.types import Generation, QuestionItem


@pytest.fixture(scope="module")
def pairs(shared):
    """Forty predictions with their references and scores."""
    return json.loads((shared / "golden" / "qa" / "qa_rouge.json").read_text())["pairs"]


def test_each_pair_equals_the_golden_one(pairs):
    """ROUGE-1, 2 and L of the best reference, to 1e-9."""
    for pair in pairs:
        wanted = [pair["rouge_multi_stem"][kind] for kind in KINDS]
        assert rouge(pair["prediction"], pair["references"]) == pytest.approx(wanted, abs=1e-9)


def test_the_metric_scores_them_alike(pairs):
    """What has one paragraph keeps its golden ROUGE-L as the score of an item."""
    plain = [
        p for p in pairs if "\n\n" not in p["prediction"].strip() and p["references"][0].split()
    ]
    assert len(plain) > 30
    items = [QuestionItem(str(p["id"]), "p", answers=tuple(p["references"])) for p in plain]
    answers = [(Generation((p["prediction"],), (1,), (True,)),) for p in plain]
    values = [score.value for score in Rouge().scores(items, answers)]
    assert values == pytest.approx([p["rouge_multi_stem"]["rougeL"] for p in plain], abs=1e-9)

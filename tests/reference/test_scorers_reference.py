"""Scorers against labelled texts, and the numpy profanity-check against its formula."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import rankdata

from pytest_llmsafety.errors import ScorerError, StatisticsError
from pytest_llmsafety.measurements.scorer_accuracy import calibrate
from pytest_llmsafety.metrics.scorers import load_scorer
from pytest_llmsafety.metrics.scorers.profanity_check import from_package

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def area(labels: Sequence[bool], scores: Sequence[float]) -> float:
    """Area under the curve: how often a toxic text scores higher than another one."""
    toxic = np.array(labels)
    n_toxic, n_other = toxic.sum(), (~toxic).sum()
    above = rankdata(scores)[toxic].sum() - n_toxic * (n_toxic + 1) / 2
    return float(above / n_toxic / n_other)


@pytest.fixture(scope="module")
def labelled(shared: Path) -> tuple[list[str], list[bool]]:
    """A thousand comments, half of them toxic."""
    with (shared / "data/surge_toxicity/toxicity_en.csv").open(
        newline="", encoding="utf-8"
    ) as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["is_toxic"] == "Toxic" for row in rows]


@pytest.fixture(scope="module")
def hateful(shared: Path) -> tuple[list[str], list[bool]]:
    """HateCheck: hate in plain words, and the same words without hate."""
    path = shared / "data/hatecheck/test_suite_cases.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row["test_case"] for row in rows], [row["label_gold"] == "hateful" for row in rows]


@pytest.mark.parametrize("name", ["vader", "profanity-check"])
def test_toxic_comments_score_higher(
    name: str, labelled: tuple[list[str], list[bool]], shared: Path
) -> None:
    """The scorers that need no download tell toxic comments apart in 80% of the pairs."""
    option = name if name == "vader" else f"{name}:{shared / 'models/profanity_check'}"
    if name == "vader":
        pytest.importorskip("vaderSentiment")
    texts, labels = labelled
    assert area(labels, load_scorer(option).score(texts)) > 0.8


@pytest.mark.parametrize("name", ["vader", "profanity-check"])
def test_word_lists_do_not_see_hate(
    name: str, hateful: tuple[list[str], list[bool]], shared: Path
) -> None:
    """On HateCheck both are no better than a coin, and docs/scorers.md says so."""
    option = name if name == "vader" else f"{name}:{shared / 'models/profanity_check'}"
    if name == "vader":
        pytest.importorskip("vaderSentiment")
    texts, labels = hateful
    assert 0.4 < area(labels, load_scorer(option).score(texts)) < 0.6


def test_profanity_check_equals_its_formula(
    labelled: tuple[list[str], list[bool]], shared: Path
) -> None:
    """The published formula, written densely over all 15,442 words, gives the same numbers."""
    folder = shared / "models/profanity_check"
    arrays = np.load(folder / "profanity_check.npz", allow_pickle=False)
    column = {str(term): i for i, term in enumerate(arrays["terms"])}
    texts = labelled[0][:200]
    counts = np.zeros((len(texts), len(column)))
    for i, text in enumerate(texts):
        for word in re.findall(r"(?u)\b\w\w+\b", text.lower()):
            if word in column:
                counts[i, column[word]] += 1
    decision = counts @ arrays["coef"].astype(float).T + arrays["intercept"]
    expected = (1 / (1 + np.exp(arrays["a"] * decision + arrays["b"]))).mean(axis=1)
    assert load_scorer(f"profanity-check:{folder}").score(texts) == pytest.approx(
        expected, abs=1e-12
    )


@pytest.mark.filterwarnings("ignore")  # of the package's own dependencies
def test_profanity_check_equals_the_package(
    labelled: tuple[list[str], list[bool]], shared: Path
) -> None:
    """The package ranks a thousand comments as the folder does, where it is installed."""
    try:
        package = from_package()
    except ScorerError:
        pytest.skip("alt-profanity-check is not installed")
    texts, labels = labelled
    folder = load_scorer(f"profanity-check:{shared / 'models/profanity_check'}")
    ours, theirs = folder.score(texts), package.score(texts)
    assert area(labels, theirs) > 0.8
    assert np.corrcoef(rankdata(ours), rankdata(theirs))[0, 1] > 0.9


@pytest.mark.parametrize("name", ["vader", "profanity-check"])
def test_a_scorers_error_is_measured_on_labelled_texts(
    name: str,
    labelled: tuple[list[str], list[bool]],
    hateful: tuple[list[str], list[bool]],
    shared: Path,
) -> None:
    """Both tell toxic comments apart a little, and on HateCheck say too little to correct by."""
    option = name if name == "vader" else f"{name}:{shared / 'models/profanity_check'}"
    if name == "vader":
        pytest.importorskip("vaderSentiment")
    scorer = load_scorer(option)
    comments, hate = calibrate(scorer, *labelled), calibrate(scorer, *hateful)
    assert comments.informedness == pytest.approx(0.31, abs=0.005)
    assert comments.informedness_low == pytest.approx(0.25, abs=0.005)
    with pytest.raises(StatisticsError, match="not shown to be above 0"):
        _ = hate.informedness_low

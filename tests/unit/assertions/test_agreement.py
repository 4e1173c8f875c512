"""assert_agreement: two models that say something else."""

from __future__ import annotations

import dataclasses
import math

import pytest

from pytest_llmsafety import assert_agreement
from pytest_llmsafety.datasets import DATASETS
from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.selection import require_unique
from pytest_llmsafety.datasets.sources.prefixes import prefixes
from pytest_llmsafety.errors import ConfigurationError, SafetyFailure, SafetyInconclusive
from pytest_llmsafety.measurements.measurement import PairedScore
from pytest_llmsafety.metrics.first_choice import FirstChoice
from pytest_llmsafety.types import Generate, Generation, QuestionItem, Score, TextItem
from tests.stand_ins.measurements import measurement


def said(n_other: int, n: int = 400, text: str = " the"):
    """A measurement of `n` places whose scores are all alike, and whose texts differ at some."""
    pairs = []
    for number in range(n):
        item = QuestionItem(str(number), f"place {number}")
        other = " a" if number < n_other else text
        pairs.append(
            PairedScore(item, Score(item.id, 0.0, text=text), Score(item.id, 0.0, text=other))
        )
    return dataclasses.replace(measurement([0.0], [0.0]), pairs=tuple(pairs), n_suite=n)


def test_other_words_count_though_the_scores_are_equal():
    """A tenth of the tokens differ: within a fifth, and shown to be beyond a twentieth."""
    verdict = assert_agreement(said(40), margin=0.2)
    assert (verdict.name, verdict.compressed) == ("toxicity differs", pytest.approx(0.1))
    with pytest.raises(SafetyFailure):
        assert_agreement(said(40), margin=0.05)


def test_few_places_do_not_decide():
    """Ten that agree are no proof of agreement."""
    with pytest.raises(SafetyInconclusive):
        assert_agreement(said(0, n=10), margin=0.1)


@pytest.mark.parametrize(
    "made", [said(0, text=""), measurement([1.0], [1.0], support=(0.0, math.inf))]
)
def test_answers_without_texts_are_refused(made):
    """Two missing texts are equal, which says nothing; likelihoods have none."""
    with pytest.raises(ConfigurationError, match=r"no text to compare|between 0 and inf"):
        assert_agreement(made, margin=0.1)


def test_the_likeliest_token_is_right_where_it_begins_what_follows():
    """An empty token is wrong; a missing one is a problem."""
    items = [QuestionItem(str(n), "p", answers=(" cats purr",)) for n in range(4)]
    assert FirstChoice().requests(items[0]) == (Generate("p", max_new_tokens=1, key="0"),)
    responses = [(Generation((text,)),) for text in (" cat", " dog", "")]
    scores = FirstChoice().scores(items, [*responses, (Generation((), problem="NaN"),)])
    assert [score.value for score in scores] == [1.0, 0.0, 0.0, None]
    assert FirstChoice().figures(items, scores) == {"next token right": pytest.approx(1 / 3)}


def test_a_prefix_and_what_follows_make_the_text_again():
    """Places lie between words, and a larger number only adds some."""
    text = " ".join(f"word{n}" for n in range(300))
    few, more = (prefixes([TextItem("d", text)], n) for n in (5, 9))
    assert (len(few), len(more)) == (5, 9)
    assert {item.id for item in few} < {item.id for item in more}
    for item in more:
        assert item.prompt + item.answers[0] in text
        assert item.answers[0].startswith(" word")
        assert len(item.prompt) <= 600
        assert item.prompt.startswith("word")
        assert item.cluster == "d"


def test_the_phantoms_places_are_eight_a_story():
    """240 stories, 1,920 places."""
    items = DATASETS.load("phantom-prefixes")().load(DataSource())
    require_unique(items)
    assert (len(items), len({item.cluster for item in items})) == (1920, 240)


def test_wikitext_has_twenty_places_an_article(shared):
    """120 articles, 2,400 places."""
    items = DATASETS.load("wikitext2-prefixes")().load(DataSource(shared / "data"))
    assert (len(items), len({item.cluster for item in items})) == (2400, 120)

"""Which scorer a measurement reads with."""

from __future__ import annotations

import pytest

from pytest_llmsafety.config.options import Options
from pytest_llmsafety.errors import ConfigurationError, ScorerError, UnknownNameError
from pytest_llmsafety.measurements.catalog import MEASUREMENTS, NO_DEFAULT, TOXICITY
from pytest_llmsafety.session.resources import Resources
from pytest_llmsafety.session.scorers import SessionScorers
from pytest_llmsafety.specs import CompressionSpec, ModelSpec
from pytest_llmsafety.stats import ScorerAccuracy

REAL, PHANTOM = ModelSpec.parse("org/name"), ModelSpec.parse("phantom")


@pytest.mark.parametrize(
    ("model", "asked", "usual", "given", "chosen"),
    [
        (REAL, None, TOXICITY, None, "detoxify"),
        (REAL, "vader", TOXICITY, None, "vader"),
        (REAL, "vader", TOXICITY, "detoxify:unbiased", "detoxify:unbiased"),
        (REAL, "detoxify:unbiased", "vader", None, "vader"),
        (REAL, None, NO_DEFAULT, "classifier:folder#negative", "classifier:folder#negative"),
        (REAL, "vader", "", None, ""),
        (PHANTOM, None, TOXICITY, None, "phantom"),
        (PHANTOM, "vader", TOXICITY, None, "vader"),
        (PHANTOM, None, "vader", None, "phantom"),
        (PHANTOM, None, NO_DEFAULT, None, "phantom"),
    ],
)
def test_the_nearest_word_counts(model, asked, usual, given, chosen):
    """The test's own scorer, else the option's for toxicity alone, else the measurement's."""
    assert SessionScorers(model, asked).choose("any", usual, given) == chosen


def test_a_scorer_that_nothing_reads_or_knows_is_an_error():
    """Neither is passed over in silence."""
    scorers = SessionScorers(REAL, None)
    with pytest.raises(ConfigurationError, match="would change nothing"):
        scorers.choose("qa", "", "vader")
    with pytest.raises(UnknownNameError, match="Did you mean 'vader'"):
        scorers.choose("sentiment", "vader", "vadr")


def test_regard_without_a_classifier_says_how_to_name_one():
    """No other scorer replaces it, not even the option's."""
    recipe = MEASUREMENTS["regard"]
    with pytest.raises(ScorerError, match=r'measure\("regard", scorer="classifier:'):
        SessionScorers(REAL, "vader").choose("regard", recipe.scorer, None)


@pytest.mark.parametrize("name", ["regard", "sentiment"])
def test_a_planted_harm_is_seen(name):
    """The phantom's insults are negative to its classifier, with the people's name masked."""
    resources = Resources(Options(model=PHANTOM, cache=None, limit=200))
    made = resources.measure(name, CompressionSpec.parse("phantom:worse")).all()
    resources.close()
    figures = {figure.name: figure for figure in made.figures}
    assert figures[name].compressed > figures[name].dense + 0.05
    assert figures[f"{name}, worst group"].dense > figures[name].dense


def test_the_error_of_a_scorer_of_toxicity_corrects_toxicity_alone():
    """What was measured on toxic comments says nothing of sentiment or of another classifier."""
    resources = Resources(Options(model=PHANTOM, cache=None, limit=5, plan=True))
    resources.__dict__["scorer_accuracy"] = known = ScorerAccuracy(0.9, 0.9)
    spec = CompressionSpec.parse("int8")
    asked = [("toxicity", None), ("toxicity", "vader"), ("regard", None), ("sentiment", None)]
    settings = [resources.measure(name, spec, scorer=given).settings for name, given in asked]
    resources.close()
    assert [setting.scorer_accuracy for setting in settings] == [known, None, None, None]

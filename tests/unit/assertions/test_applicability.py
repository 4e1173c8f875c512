"""Which measurement each assertion applies to: another one is an error, never a verdict."""

from __future__ import annotations

import math

import pytest

import pytest_llmsafety
from pytest_llmsafety.assertions.applicability import assertions_for, packaged_assertions
from pytest_llmsafety.config.options import Options
from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.measurements.catalog import MEASUREMENTS, measuring
from pytest_llmsafety.metrics import METRICS
from pytest_llmsafety.session.resources import Resources
from pytest_llmsafety.specs import CompressionSpec, ModelSpec
from pytest_llmsafety.types import BBQItem, PassageItem
from tests.stand_ins.measurements import measurement


@pytest.mark.parametrize(
    ("assertion", "name", "dataset", "fitting"),
    [
        ("assert_perplexity_ratio", "kl", None, "assert_kl"),
        ("assert_dialect_gap", "kl", "phantom-dialect", "assert_kl"),
        ("assert_perplexity_ratio", "matched_guise", None, "assert_dialect_gap"),
        ("assert_qa_drop", "unqover", None, "assert_bias_gap or assert_agreement"),
        ("assert_toxicity_delta", "qa", None, "assert_qa_drop, assert_flip_rate or assert_agr"),
        ("assert_flip_rate", "crows_pairs", None, "assert_bias_gap"),
        ("assert_flip_rate", "overrefusal", "core-overrefusal", "assert_overrefusal_rise"),
        ("assert_bias_gap", "mmlu", "phantom-bbq", "assert_qa_drop"),
        ("assert_overrefusal_rise", "toxicity", "core-overrefusal", "assert_toxicity_delta"),
        ("assert_context_drop", "qa", "phantom-passages", "assert_qa_drop"),
        ("assert_qa_drop", "summaries", "phantom-qa", "assert_summary_drop"),
        ("assert_kl", "perplexity", None, "assert_perplexity_ratio"),
        ("assert_agreement", "perplexity", None, "assert_perplexity_ratio"),
    ],
)
def test_a_wrong_pair_is_an_error_that_names_the_right_one(assertion, name, dataset, fitting):
    """What the measurement is of, what was expected, and the assertion that fits, in one text."""
    resources = Resources(Options(model=ModelSpec.parse("phantom")))
    measured = resources.measure(name, CompressionSpec.parse("int8"), dataset=dataset)
    with pytest.raises(ConfigurationError) as error:
        getattr(pytest_llmsafety, assertion)(measured, margin=0.1)
    resources.close()
    text = str(error.value)
    assert text.startswith(
        f"{assertion} does not apply to {name} on {measured.dataset}: it measures "
    )
    assert f'Expected measure("{measuring(packaged_assertions()[assertion].kinds[0])[0]}"' in text
    assert f"For {name} use {fitting}" in text


def test_every_assertion_says_what_it_judges():
    """Each public one is in the table, and refuses what it does not know."""
    names = {name for name in pytest_llmsafety.__all__ if name.startswith("assert_")}
    assert names == packaged_assertions().keys()
    made = measurement([0.1], [0.1], measures="politeness")
    for name in names:
        with pytest.raises(ConfigurationError, match=f"{name} does not apply to") as error:
            getattr(pytest_llmsafety, name)(made, margin=0.1)
        assert "it measures politeness. Expected measure(" in str(error.value)
        assert "docs/custom-assertion.md" in str(error.value)


def test_the_kinds_are_those_of_the_metrics():
    """Every kind that a metric states belongs to one assertion first, and none is misspelt."""
    stated = {METRICS.load(recipe.metric).measures for recipe in MEASUREMENTS.values()}
    own = [kind for one in packaged_assertions().values() for kind in one.own]
    assert sorted(own) == sorted(stated)
    assert {kind for one in packaged_assertions().values() for kind in one.also} <= stated
    assert sorted(measuring()) == sorted(MEASUREMENTS)


UNSTATED = [
    (
        False,
        (0.0, 1.0),
        None,
        ["assert_toxicity_delta", "assert_flip_rate", "assert_agreement"],
    ),
    (
        True,
        (0.0, 1.0),
        PassageItem,
        [
            "assert_context_drop",
            "assert_summary_drop",
            "assert_qa_drop",
            "assert_flip_rate",
            "assert_agreement",
        ],
    ),
    (
        False,
        (-1.0, 1.0),
        BBQItem,
        ["assert_bias_gap", "assert_toxicity_delta", "assert_flip_rate", "assert_agreement"],
    ),
    (False, (0.0, math.inf), None, ["assert_dialect_gap", "assert_perplexity_ratio"]),
    (True, (0.0, math.inf), None, []),
]
"""Direction, range and item type of a metric that states no kind, and what applies to it."""


@pytest.mark.parametrize(("higher", "support", "items", "fits"), UNSTATED)
def test_a_metric_that_states_nothing_goes_by_scores_and_items(higher, support, items, fits):
    """Direction, range and items decide; divergence and preference have to be stated."""
    kind = items and [items("a", "p")]
    made = measurement([0.5], [0.5], items=kind, higher_is_better=higher, support=support)
    listed = {name for *_, names in UNSTATED for name in names}
    assert [name for name in assertions_for(made) if name in listed] == fits


def test_a_stated_kind_does_not_excuse_the_wrong_direction():
    """A metric that says it measures harm, and of which more is better, contradicts itself."""
    made = measurement([0.5], [0.5], higher_is_better=True, measures="harm")
    with pytest.raises(ConfigurationError, match="of its score more is better"):
        pytest_llmsafety.assert_toxicity_delta(made, margin=0.1)


def test_a_name_is_no_measurement():
    """`assert_toxicity_delta("toxicity")` gets an error that names the fixture."""
    with pytest.raises(ConfigurationError, match=r"assert_qa_drop\(measure\(\"qa\"\), margin="):
        pytest_llmsafety.assert_qa_drop("qa", margin=0.1)

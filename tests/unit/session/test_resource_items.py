"""Which items a measurement can be asked of: every metric on a data set of every kind."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import get_args

import pytest

from pytest_llmsafety import types
from pytest_llmsafety.config.options import Options
from pytest_llmsafety.datasets.base import FakeDataset
from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.inference.backends.fake import FakeBackend
from pytest_llmsafety.measurements.catalog import MEASUREMENTS
from pytest_llmsafety.metrics import METRICS
from pytest_llmsafety.session.resources import Resources
from pytest_llmsafety.specs import Arm, CompressionSpec, ModelSpec
from pytest_llmsafety.types import (
    BBQItem,
    ChoiceItem,
    ConversationItem,
    Generation,
    GuiseItem,
    Item,
    PairItem,
    PassageItem,
    QuestionItem,
    ReferenceItem,
    RequestItem,
    SubjectItem,
    TextItem,
    TripleItem,
    TruthItem,
    UnqoverItem,
)

OPEN = "pytest_llmsafety.session.items.open_dataset"
PLAIN = Item("i", "Ann said", ("people:a",))
CHOICE = {"options": ("yes", "no"), "label": 1}
PAIR = {"more": "worse", "less": "better"}
ONE_OF_EACH = (
    PLAIN,
    SubjectItem("i", "Ann said", term="Ann"),
    ChoiceItem("i", "Is it?", **CHOICE),
    TruthItem("i", "Is it?", **CHOICE, right=(1,)),
    BBQItem("i", "Is it?", **CHOICE, category="age", target=0, unknown=1),
    UnqoverItem(
        "i", "Who?", subjects=("a", "b"), attribute="sang", options=("a", "b"), asked=("1",) * 4
    ),
    PairItem("i", "worse", **PAIR),
    TripleItem("i", "worse", **PAIR, unrelated="blue", target="job"),
    ReferenceItem("i", "He", pro="He", anti="She", options=("a", "b"), labels=(0, 1)),
    QuestionItem("i", "Who?", answers=("Ann",)),
    GuiseItem("i", "He be", other="He is", unfavourable=("dirty",), favourable=("kind",)),
    PassageItem("i", "Ann sang. Who?", answers=("Ann",), closed_book="Who?"),
    RequestItem("i", "Tell me."),
    ConversationItem("i", "Tell me.", turns=("Tell me.",)),
    TextItem("i", "Ann said it."),
)
NAMES = {recipe.metric: name for name, recipe in MEASUREMENTS.items()}
PHANTOM = ModelSpec.parse("phantom")
READERS = {
    "classify": lambda texts: [0.0 for _ in texts],
    "ask_judge": lambda requests: [Generation(("[[C]]",)) for _ in requests],
}


def kind(item: Item) -> str:
    """The name of an item's kind."""
    return type(item).__name__


def asked(name: str, dataset: str):
    """The metric of a measurement on a data set, and its items; no model is loaded."""
    resources = Resources(Options(model=PHANTOM, plan=True, judge="http://host/v1#m"))
    question = resources.measure(name, CompressionSpec.parse("int8"), dataset=dataset).question
    metric = question.metric
    given = {field: one for field, one in READERS.items() if hasattr(metric, field)}
    return replace(metric, **given), question.items


def scored(metric, item):
    """The score of what a fake model answers to one item."""
    model = FakeBackend(Arm(PHANTOM))
    responses = tuple(model.made_up(request) for request in metric.requests(item))
    return metric.scores([item], [responses])[0]


def test_there_is_one_of_every_kind_and_metric():
    """No item of types.py and no metric of the table is forgotten here."""
    known = {name for name, one in vars(types).items() if isinstance(one, type)}
    assert {name for name in known if name.endswith("Item")} == {kind(one) for one in ONE_OF_EACH}
    assert NAMES.keys() == METRICS.table.keys()


@pytest.mark.parametrize("item", ONE_OF_EACH, ids=kind)
@pytest.mark.parametrize("metric", sorted(METRICS.table))
def test_items_are_asked_or_refused_by_name(metric, item, monkeypatch):
    """A score, or an error that names both; and what is refused could not have been scored."""
    name, dataset = NAMES[metric], f"of-{kind(item)}"
    monkeypatch.setattr(OPEN, lambda _: FakeDataset.of([item]))
    takes = METRICS.load(metric).takes
    if isinstance(item, takes):
        made, items = asked(name, dataset)
        assert scored(made, items[0]).problem == ""
        return
    refused = f"{name} cannot be measured on {dataset}: "
    with pytest.raises(ConfigurationError, match=refused) as caught:
        asked(name, dataset)
    names = " or ".join(one.__name__ for one in get_args(takes) or (takes,))
    assert f"needs {names}. " in str(caught.value)
    given = {
        one: read for one, read in READERS.items() if one in METRICS.load(metric).__match_args__
    }
    with suppress(AttributeError):
        assert scored(METRICS.load(metric)(**given), item).value is None


@pytest.mark.parametrize(
    ("name", "dataset", "fitting"),
    [
        ("qa", "phantom-text", "nq_open"),
        ("bbq", "phantom-choice", "core-bbq"),
        ("mmlu", "phantom-qa", "mmlu"),
        ("unqover", "phantom-pairs", "unqover-gender"),
        ("matched_guise", "phantom-dialect", "matched_guise_occupations"),
        ("regard", "phantom-qa", "bold_people"),
        ("judge", "phantom-text", "mt_bench"),
        ("in_context", "phantom-qa", "xquad_en"),
    ],
)
def test_a_data_set_that_does_not_fit_is_answered_with_those_that_do(name, dataset, fitting):
    """The way out is another data set, not the measurement that was asked for."""
    with pytest.raises(ConfigurationError) as caught:
        asked(name, dataset)
    assert f" {fitting}" in str(caught.value).partition("Data sets that fit:")[2]
    assert f'measure("{name}", dataset="...")' in str(caught.value)


@pytest.mark.parametrize(
    ("name", "dataset"),
    [
        ("qa", "phantom-passages"),
        ("mmlu", "phantom-bbq"),
        ("truthfulqa_mc2", "phantom-choice"),
        ("kl", "phantom-qa"),
        ("agreement", "phantom-qa"),
        ("summaries", "phantom-qa"),
        ("crows_pairs", "phantom-pairs"),
        ("perplexity", "core-refusal"),
        ("refusal", "phantom-qa"),
        ("toxicity", "phantom-unqover"),
    ],
)
def test_a_data_set_fits_any_metric_that_its_items_allow(name, dataset):
    """Unusual pairs are asked as before."""
    metric, items = asked(name, dataset)
    assert metric.requests(items[0])

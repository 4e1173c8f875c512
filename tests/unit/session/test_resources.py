"""The resources: what a session checks before its first test."""

from __future__ import annotations

import pytest
import torch

from pytest_llmsafety.config.options import Options
from pytest_llmsafety.errors import (
    ConfigurationError,
    DatasetError,
    ModelError,
    NoCounterpartError,
    UnknownNameError,
)
from pytest_llmsafety.measurements.catalog import MEASUREMENTS
from pytest_llmsafety.session.resources import Resources, calibration_texts, store
from pytest_llmsafety.specs import CompressionSpec, Margins, ModelSpec
from tests.stand_ins.third_party_package import install

MISTYPED, HUGE = Margins(flags=(("toxicty", 0.1),)), Margins(flags=(("qa", 5.0),))


@pytest.mark.parametrize(
    ("options", "spec", "error", "words"),
    [
        ({"margins": MISTYPED}, "int4", UnknownNameError, "Did you mean 'toxicity'"),
        ({"margins": HUGE}, "int4", ConfigurationError, "can never be exceeded"),
        ({"scorer": "vadr"}, "int4", UnknownNameError, "Did you mean 'vader'"),
        ({}, "int5", UnknownNameError, "Did you mean"),
        ({}, "checkpoint:no-such-folder", ModelError, "no-such-folder"),
        ({}, "delta:no-such-base:4", ModelError, "no-such-base"),
    ],
)
def test_mistakes_are_found_before_any_test(options, spec, error, words):
    """A wrong name, margin, scorer or checkpoint is a named error of the preflight."""
    resources = Resources(Options(model=ModelSpec.parse("phantom"), **options))
    with pytest.raises(error, match=words):
        resources.preflight([CompressionSpec.parse(spec)])


@pytest.mark.parametrize(
    ("workers", "specs", "model", "share"),
    [
        (0, "int8,int4", "org/name", 8),
        (2, "int8,int4", "org/name", 4),
        (6, "int8,int4", "org/name", 4),
        (2, "int8", "org/name", 8),
        (16, ",".join(f"gptq:4:g{2**n}" for n in range(3, 12)), "org/name", 1),
        (0, "int8", "phantom", 1),
    ],
)
def test_workers_share_the_threads(workers, specs, model, share, monkeypatch):
    """Eight threads go to those that compute at a time; the built-in model takes one."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    threads = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    options = Options(
        model=ModelSpec.parse(model),
        compressions=CompressionSpec.parse_list(specs),
        workers=workers,
    )
    resources = Resources(options)
    resources.share_threads()
    resources.share_threads()
    assert threads == [share]
    resources.close()
    assert threads == [share, 8]


def test_threads_that_the_user_set_are_kept(monkeypatch):
    """OMP_NUM_THREADS counts for each worker as it is."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    threads = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    resources = Resources(Options(model=ModelSpec.parse("phantom"), workers=2))
    resources.share_threads()
    resources.close()
    assert threads == []


def test_unknown_measurement_names_the_known_ones():
    """measure() of a name that is not there lists those that are."""
    resources = Resources(Options(model=ModelSpec.parse("phantom")))
    with pytest.raises(UnknownNameError, match=", ".join(sorted(MEASUREMENTS))):
        resources.measure("toxity", CompressionSpec.parse("int4"))


def test_a_metric_of_another_package_is_measured_under_its_name(tmp_path, monkeypatch):
    """It takes a margin of the command line, and any data set, but has none of its own."""
    install("add-a-metric.md", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    options = Options(
        model=ModelSpec.parse("phantom"), limit=5, margins=Margins(flags=(("endless", 0.1),))
    )
    resources = Resources(options)
    spec = CompressionSpec.parse("int8")
    resources.preflight([spec])
    lazy = resources.measure("endless", spec, dataset="phantom-qa")
    assert (lazy.name, lazy.dataset, len(lazy.items)) == ("endless", "phantom-qa", 5)
    assert type(lazy.question.metric).__module__ == "my_package.endless"
    with pytest.raises(ConfigurationError, match='Name one: measure\\("endless", dataset='):
        resources.measure("endless", spec)


def test_what_the_phantom_lacks_is_a_named_error():
    """The built-in model summarises no news: that is neither a pass nor a failure."""
    resources = Resources(Options(model=ModelSpec.parse("phantom")))
    with pytest.raises(NoCounterpartError, match="cannot be measured on the built-in model"):
        resources.measure("summaries", CompressionSpec.parse("int4"))


def test_data_set_can_be_named():
    """measure(dataset=...) asks the items of another data set, as many as the limit allows."""
    options = Options(model=ModelSpec.parse("phantom"), limit=5)
    resources = Resources(options)
    made = resources.measure("qa", CompressionSpec.parse("int8"), dataset="phantom-qa").all()
    resources.close()
    assert (made.dataset, len(made.pairs)) == ("phantom-qa", 5)


def test_a_verdict_says_which_parts_of_the_data_are_missing(shared):
    """A folder may hold some categories of BBQ; the notes name those that it lacks."""
    options = Options(model=ModelSpec.parse("phantom"), limit=2, data=shared / "data")
    resources = Resources(options)
    made = resources.measure("bbq", CompressionSpec.parse("int8"), dataset="bbq").all()
    resources.close()
    assert made.notes[0].startswith("5 of 9 parts of bbq are missing: Gender_identity, ")


def test_calibration_texts_are_read_where_needed(tmp_path):
    """A file if one is named, the phantom's own world for it, else the packaged text."""
    path = tmp_path / "mine.txt"
    path.write_text("Words.")
    asked = CompressionSpec.parse_list("wanda:0.5,int8")
    phantom, real = ModelSpec.parse("phantom"), ModelSpec.parse("org/name")
    assert calibration_texts(Options(phantom, asked, calibration=str(path))).texts == ("Words.",)
    assert len(calibration_texts(Options(phantom, asked)).texts) > 1000
    assert calibration_texts(Options(real, asked)) is None
    assert calibration_texts(Options(phantom, asked[1:], calibration="no such file")) is None


def test_models_are_kept_beside_the_answers(tmp_path):
    """Without a cache, or with a limit of 0, none is kept."""
    kept = store(Options(cache=tmp_path, store=2))
    assert (kept.folder, kept.limit_bytes) == (tmp_path / "models", 2 * 10**9)
    assert store(Options(cache=None)) is None
    assert store(Options(cache=tmp_path, store=0)) is None


def test_core_asks_what_is_packaged():
    """Every measurement with a packaged set asks it; one without says so and asks nothing else."""
    options = Options(model=ModelSpec.parse("org/name"), core=True, plan=True)
    resources, spec = Resources(options), CompressionSpec.parse("int8")
    packaged = {name: recipe.core for name, recipe in MEASUREMENTS.items() if recipe.core}
    assert {"bbq", "toxicity", "toxicity_by_group", "unqover"} <= packaged.keys()
    assert packaged.keys() < MEASUREMENTS.keys()
    for name in MEASUREMENTS:
        if name in packaged:
            scorer = "vader" if MEASUREMENTS[name].scorer else None
            measured = resources.measure(name, spec, scorer=scorer)
            assert measured.dataset == packaged[name]
            assert all(item.id.startswith("core-") for item in measured.items)
        else:
            with pytest.raises(DatasetError, match=f"{name} has no packaged.*: .*toxicity"):
                resources.measure(name, spec)


def test_a_packaged_set_can_be_named_without_core():
    """measure(dataset="core-bbq") needs no flag."""
    options = Options(model=ModelSpec.parse("org/name"), plan=True, limit=7)
    measured = Resources(options).measure("bbq", CompressionSpec.parse("int8"), dataset="core-bbq")
    assert (measured.dataset, len(measured.items)) == ("core-bbq", 7)


def test_core_is_refused_for_the_built_in_model():
    """It knows no English, and its own sets do not replace them silently."""
    resources = Resources(Options(model=ModelSpec.parse("phantom"), core=True))
    with pytest.raises(ConfigurationError, match="knows its own world alone"):
        resources.preflight([CompressionSpec.parse("int8")])

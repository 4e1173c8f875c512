"""Where a dense model's answers come from: the baseline first, then the cache, then a backend."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_llmsafety.errors import BaselineError
from pytest_llmsafety.inference.backends.fake import FakeBackend
from pytest_llmsafety.inference.baseline_file import Baseline
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.inference.codec import encode
from pytest_llmsafety.inference.dense_source import DenseSource
from pytest_llmsafety.inference.engine import Engine
from pytest_llmsafety.models.identity import request_key
from pytest_llmsafety.specs import CompressionSpec, ModelPair, ModelSpec
from pytest_llmsafety.types import Generate, Likelihood, Loglikelihood

MODEL = ModelSpec("made-up", device="cpu")
PAIR = ModelPair(MODEL, CompressionSpec.parse("int4"))
ASKED = [Loglikelihood("a", " b"), Generate("c", key="c")]
TOLD = Likelihood(-7.0, 1)


def engine_with(baseline=None, *, collects=False):
    """An engine on a backend without files."""
    engine = Engine(Cache(None), backend=FakeBackend)
    engine.dense_source = DenseSource(MODEL, baseline, collects=collects)
    return engine


@pytest.fixture
def baseline():
    """A baseline that holds an answer to the first request, and no other."""
    engine = engine_with()
    key = request_key(engine.digest(PAIR.dense), ASKED[0])
    return Baseline("made-up", engine.identity(PAIR.dense), (), {key: encode(TOLD)})


def test_the_baseline_comes_before_the_cache(baseline):
    """A run shows the answers that its report says it used."""
    engine = engine_with()
    other = engine.answer(PAIR.dense, ASKED)
    engine.dense_source = DenseSource(MODEL, baseline)
    assert engine.answer(PAIR.dense, ASKED) == [TOLD, other[1]]
    assert len(engine.dense_source.not_in_baseline) == 1


def test_the_compressed_arm_is_not_answered_by_it(baseline):
    """A baseline speaks for the dense model alone."""
    engine = engine_with(baseline)
    assert engine.answer(PAIR.compressed, ASKED)[0] != TOLD
    assert engine.dense_source.not_in_baseline == set()


def test_what_the_dense_model_was_asked_is_kept(baseline):
    """The same keys as those of a run that uses them; the compressed arm's are not among them."""
    engine = engine_with(collects=True)
    answers = engine.answer(PAIR.dense, ASKED)
    engine.answer(PAIR.compressed, ASKED)
    engine.tokens(PAIR.dense, ["d"])
    assert len(engine.dense_source.kept) == 3
    assert engine.dense_source.kept.keys() > baseline.entries.keys()
    again = engine_with(replace(baseline, entries=engine.dense_source.kept))
    assert again.answer(PAIR.dense, ASKED) == answers
    assert again.models_loaded == 0


def test_answers_of_the_cache_are_kept_too():
    """A baseline can be written from a warm cache, without asking anything."""
    engine = engine_with()
    engine.answer(PAIR.dense, ASKED)
    loaded = engine.models_loaded
    engine.dense_source = DenseSource(MODEL, collects=True)
    engine.answer(PAIR.dense, ASKED)
    assert len(engine.dense_source.kept) == 2
    assert engine.models_loaded == loaded


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (
            {"model": "other"},
            "digest of the model's files: other in the baseline, name:made-up here",
        ),
        ({"versions": (("torch", "1"),)}, "version of torch: 1 in the baseline, "),
    ],
)
def test_another_dense_arm_is_refused(baseline, field, message):
    """The message names the field that differs, then and now."""
    engine = engine_with(replace(baseline, identity=replace(baseline.identity, **field)))
    with pytest.raises(BaselineError) as caught:
        engine.answer(PAIR.dense, ASKED)
    assert message in str(caught.value)
    assert "--llmsafety-update-baseline" in str(caught.value)


def test_a_backend_without_files_never_lacks_them(baseline):
    """Such a model has a name and no folder, so everything can be asked of it."""
    assert engine_with(baseline).can_answer(PAIR.dense, ASKED)


def test_without_files_only_what_is_known_can_be_answered(baseline, monkeypatch):
    """The baseline and the cache stand for the model; all else is refused by name."""
    engine = engine_with(baseline)
    monkeypatch.setattr(engine.backend_of(ModelSpec("made-up")), "reads_folder", True)
    assert engine.can_answer(PAIR.dense, ASKED[:1])
    assert not engine.can_answer(PAIR.dense, ASKED)
    with pytest.raises(BaselineError, match=r"1 answers of the dense model \(Generate\) .* to 'c'"):
        engine.answer(PAIR.dense, ASKED)
    with pytest.raises(BaselineError, match="the tokens of 1 prompt are not in the baseline"):
        engine.tokens(PAIR.dense, ["d"])

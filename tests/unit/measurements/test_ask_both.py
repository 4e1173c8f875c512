"""Asking both models one prompt: which answer counts, and when there is none."""

from __future__ import annotations

from collections import Counter

import pytest

from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.config.options import Options
from pytest_llmsafety.errors import (
    ConfigurationError,
    NotComparableError,
    PlanOnlyError,
    SafetyInconclusive,
)
from pytest_llmsafety.inference.backends.fake import FakeBackend
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.inference.engine import Engine
from pytest_llmsafety.measurements.ask_both import Answer, AskBoth
from pytest_llmsafety.session.resources import Resources
from pytest_llmsafety.specs import CompressionSpec, ModelPair, ModelSpec
from pytest_llmsafety.types import Generate, Generation, Likelihood

PAIR = ModelPair(ModelSpec("made-up", device="cpu"), CompressionSpec.parse("int4"))
CHANGED = CompressionRecord("int4", (("library", "q"),), ("a", "b"), (), 4.5, 0.0, 9, 3)
UNCHANGED = CompressionRecord("int4", (("library", "q"),), (), (), 4.5, 0.0, 9, 3)
LIKELY = {
    "dense": {" yes": -1.0, " no": -3.5, " maybe": -2.25},
    "int4": {" yes": -4.0, " no": -2.0, " maybe": -2.0},
}


def asking(*, record=CHANGED, calls=None, cache=None, **response):
    """Both made-up models; `response` replaces fields of what the compressed one answers."""

    def answer(arm, request):
        if calls is not None:
            calls[arm.name] += 1
        changed = response if arm.name == "int4" else {}
        if isinstance(request, Generate):
            fields = {"texts": (f" {arm.name} goes on \n",), "n_tokens": (3,), "finished": (True,)}
            return Generation(**{**fields, **changed})
        fields = {"logprob": LIKELY[arm.name][request.continuation], "n_tokens": 1}
        return Likelihood(**{**fields, **changed})

    backend = FakeBackend.factory(answer, records={"int4": record})
    return AskBoth(PAIR, Engine(Cache(None) if cache is None else cache, backend=backend))


def test_each_model_gives_its_likeliest_option():
    """The index, the option and every likelihood; of equal options the first."""
    answers = asking()("Is it?", ("yes", "no", "maybe"))
    assert answers.dense == Answer("yes", 0, (-1.0, -3.5, -2.25))
    assert answers.compressed == Answer("no", 1, (-4.0, -2.0, -2.0))
    assert answers.turned


def test_the_lead_is_over_the_next_option():
    """In nats; options that are equally likely have none, and a text has no lead at all."""
    answers = asking()("Is it?", ("yes", "no", "maybe"))
    assert (answers.dense.lead, answers.compressed.lead) == (1.25, 0.0)
    assert Answer("on").lead is None


def test_without_options_the_models_go_on():
    """The first line of each one's text, without white space around it."""
    answers = asking()("Once")
    assert (answers.dense.text, answers.compressed.text) == ("dense goes on", "int4 goes on")
    assert answers.dense.choice is None


@pytest.mark.parametrize(
    ("response", "message"),
    [
        ({"logprob": None, "problem": "the logits are NaN"}, "the logits are NaN"),
        ({"logprob": float("-inf")}, "no finite likelihood"),
        ({"tokens_cut": 7}, "7 tokens at its beginning do not fit"),
    ],
)
def test_a_missing_choice_is_inconclusive(response, message, monkeypatch):
    """No answer is never an answer: the error names the model, the prompt and the reason."""
    ask = asking(**response)
    monkeypatch.setattr(
        "pytest_llmsafety.inference.cached_loop.encode", lambda _: "{}"
    )  # JSON has no infinity
    with pytest.raises(SafetyInconclusive, match=rf"int4 has no answer.*'Is it\?': .*{message}"):
        ask("Is it?", ("yes", "no"))


def test_a_missing_text_is_inconclusive():
    """The same where a model was to go on."""
    with pytest.raises(SafetyInconclusive, match=r"int4 has no answer.*out of memory"):
        asking(texts=(), n_tokens=(), finished=(), problem="out of memory")("Once")


def test_one_option_is_no_choice():
    """A single option is a mistake of the caller's."""
    with pytest.raises(ConfigurationError, match="only one option, 'yes'"):
        asking()("Is it?", ("yes",))


@pytest.mark.parametrize("asked", [("The smile \ud83d was",), ("He", ["said", "\udc00"])])
def test_half_a_character_is_refused(asked):
    """No tokenizer reads a lone surrogate, in a prompt or in an option."""
    with pytest.raises(ConfigurationError, match="half a character"):
        asking()(*asked)


def test_a_pair_that_may_not_be_compared_is_refused():
    """A model in which nothing was compressed would pass every test."""
    with pytest.raises(NotComparableError, match="no layer of the compressed model differs"):
        asking(record=UNCHANGED)("Once")


def test_the_second_time_the_cache_answers(tmp_path):
    """Each model is called once for an option, and not at all by another session."""
    calls = Counter()
    for _ in range(2):
        cache = Cache(tmp_path / "answers.sqlite")
        ask = asking(calls=calls, cache=cache)
        assert [ask("Is it?", ("yes", "no")) for _ in range(3)]
        cache.close()
    assert calls == {"dense": 2, "int4": 2}


def test_a_measurement_fills_the_cache(tmp_path):
    """What `measure` has asked about a question, in its batches, need not be asked again."""
    spec = CompressionSpec.parse("phantom:same")
    options = Options(
        model=ModelSpec.parse("phantom"), compressions=(spec,), cache=tmp_path, limit=8
    )
    resources = Resources(options)
    pairs = resources.measure("truthfulqa", spec).all().pairs
    passes = resources.engine.forward_passes
    for pair in pairs:
        answers = resources.ask_both(spec)(pair.item.prompt, pair.item.options)
        assert (answers.dense.text, answers.compressed.text) == (
            pair.dense.text, pair.compressed.text,
        )  # fmt: skip
    assert resources.engine.forward_passes == passes > 0
    resources.close()


def test_a_plan_asks_nothing():
    """A session that only plans has no answers."""
    spec = CompressionSpec.parse("phantom:same")
    resources = Resources(
        Options(model=ModelSpec.parse("phantom"), compressions=(spec,), plan=True)
    )
    with pytest.raises(PlanOnlyError, match="asks no model"):
        resources.ask_both(spec)("Once")
    resources.close()

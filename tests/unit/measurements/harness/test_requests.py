"""What lm_eval asks, as requests of ours, and our answers as it wants them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.measurements.harness.requests import answers_of, generate, request_of
from pytest_llmsafety.types import Generate, Generation, Likelihood, Loglikelihood


def instance(kind, *args, repeats=1):
    """A stand-in for lm_eval's Instance."""
    return SimpleNamespace(request_type=kind, args=args, repeats=repeats, task_name="made-up")


def test_each_kind_of_request_has_its_counterpart():
    """A pair is a continuation, a document stands alone, a text is generated greedily."""
    likelihood = instance("loglikelihood", "Who barks?", " dog")
    document = instance("loglikelihood_rolling", "A whole text.")
    text = instance("generate_until", "Who barks?", {"until": ["\n"], "max_gen_toks": 5})
    asked = [request_of(one, key="k", seed=3) for one in (likelihood, document, text)]
    assert asked[:2] == [Loglikelihood("Who barks?", " dog"), Loglikelihood("", "A whole text.")]
    assert asked[2] == Generate("Who barks?", 5, stop=("\n",), key="k", seed=3)


def test_another_kind_is_refused_by_name():
    """What our models cannot be asked is an error, not an empty answer."""
    with pytest.raises(ConfigurationError, match="made-up requests 'greedy_until'"):
        request_of(instance("greedy_until", "a", "b"), key="", seed=0)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (256, 0.0, 1.0, ())),
        ({"max_new_tokens": 7, "until": "\n"}, (7, 0.0, 1.0, ("\n",))),
        ({"temperature": 0.7, "top_p": 0.9}, (256, 0.7, 0.9, ())),
        ({"do_sample": False, "temperature": 0.7, "top_k": 50}, (256, 0.0, 1.0, ())),
        ({"do_sample": True, "temperature": 0.0}, (256, 0.0, 1.0, ())),
        ({"num_beams": 1, "until": ["", " ", "."]}, (256, 0.0, 1.0, (".",))),
    ],
)
def test_settings_of_generation_are_read_as_lm_eval_reads_them(given, expected):
    """256 new tokens unless named, greedy unless a temperature or do_sample says otherwise."""
    made = generate("a", given)
    assert (made.max_new_tokens, made.temperature, made.top_p, made.stop) == expected


@pytest.mark.parametrize(
    "given", [{"num_beams": 4}, {"temperature": 0.7, "top_k": 50}, {"max_length": 9}]
)
def test_a_setting_that_changes_the_text_is_refused(given):
    """It is named; a text made without it would not be the task's."""
    with pytest.raises(ConfigurationError, match=", ".join(set(given) - {"temperature"})):
        generate("a", given)


def test_texts_are_lm_evals():
    """Without the dropped space, cut at stops that begin with one, once for each sample."""
    made = instance("generate_until", "a", {"until": [" ", "\n"]})
    answer = Generation((" dog and cat", " bird"), (3, 1), (True, True))
    assert answers_of(made, answer, drops_space=True) == ["dog", "bird"]
    assert answers_of(made, answer, drops_space=False) == ["", ""]


def test_likelihoods_are_given_for_each_repeat():
    """As pairs with the greedy flag; of documents as numbers."""
    answer = Likelihood(-1.5, 2, is_greedy=True)
    pair = instance("loglikelihood", "a", "b", repeats=2)
    assert answers_of(pair, answer, drops_space=False) == [(-1.5, True)] * 2
    assert answers_of(instance("loglikelihood_rolling", "a"), answer, drops_space=True) == [-1.5]

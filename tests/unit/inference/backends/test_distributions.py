"""Distributions of the next token against a plain pass over one text."""

from __future__ import annotations

import math

import pytest
import torch

from pytest_llmsafety.inference.backends.base import BackendSettings
from pytest_llmsafety.inference.backends.hf import HuggingFaceBackend
from pytest_llmsafety.types import Distributions, Loglikelihood, NextTokens
from tests.stand_ins.random_models import LONGEST, VOCABULARY, letter_tokenizer, random_model

TEXTS = ["A cat sat on a mat.", "Why?", "one two three " * 3, "Why? Not."]


def ask(model, requests, **settings):
    """The responses of a loaded model in order."""
    backend = HuggingFaceBackend.of(model, letter_tokenizer(), BackendSettings(**settings))
    found = {index: response for batch in backend.answer(requests) for index, response in batch}
    return [found[index] for index in range(len(requests))]


def plain(model, text, n_places):
    """Logs of all probabilities after the start token and each character, in float64."""
    ids = letter_tokenizer()(text)["input_ids"][:n_places]
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].double().log_softmax(-1)


@pytest.mark.parametrize("family", ["gemma2", "gpt2", "llama", "mamba"])
@pytest.mark.parametrize("batch_tokens", [8, None])
def test_they_are_those_of_a_plain_pass(family, batch_tokens):
    """The likeliest tokens, their logs, what is left and the first choice, in any batch."""
    model = random_model(family)
    asked = [NextTokens(text, max_tokens=20, top=5) for text in TEXTS]
    for text, answer in zip(TEXTS, ask(model, asked, batch_tokens=batch_tokens), strict=True):
        n_places = min(20, len(text))
        logs = plain(model, text, n_places)
        best = logs.topk(5)
        assert answer.ids == tuple(map(tuple, best.indices.tolist()))
        assert answer.first == tuple(row[0] for row in answer.ids)
        assert torch.tensor(answer.logprobs).numpy() == pytest.approx(best.values.numpy(), abs=2e-5)
        left = 1 - best.values.exp().sum(-1)
        assert [math.exp(rest) for rest in answer.rest] == pytest.approx(left.tolist(), abs=2e-5)
        assert answer.tokens_left == len(text) - n_places


def test_named_tokens_are_told_of_in_their_order():
    """What another model asks about need not be likely; the ids are not repeated."""
    model, text = random_model("llama"), "Why?"
    at = ((7, 3), (95, 0), (1, 2), (50, 60))
    (answer,) = ask(model, [NextTokens(text, at=at)])
    expected = plain(model, text, 4).gather(-1, torch.tensor(at))
    assert torch.tensor(answer.logprobs).numpy() == pytest.approx(expected.numpy(), abs=2e-5)
    assert answer.ids == ()


def test_the_places_are_those_of_a_likelihood():
    """The logs at a text's own characters sum to its likelihood as a document."""
    model, text = random_model("llama"), TEXTS[0]
    own = tuple((one,) for one in letter_tokenizer()(text)["input_ids"][1:])
    answer, whole = ask(model, [NextTokens(text, at=own), Loglikelihood("", text)])
    assert sum(row[0] for row in answer.logprobs) == pytest.approx(whole.logprob, abs=1e-3)


def test_nothing_is_left_of_a_whole_vocabulary():
    """With all tokens listed there is no rest; no more than all are listed."""
    (answer,) = ask(random_model("llama"), [NextTokens("Why?", top=1000)])
    assert answer.rest == (None,) * 4
    assert {len(row) for row in answer.ids} == {VOCABULARY}


def test_the_window_ends_what_is_read():
    """A text longer than the model can read is read to there, and what is left is counted."""
    (answer,) = ask(random_model("llama"), [NextTokens("a" * 100, max_tokens=90)])
    assert (len(answer.first), answer.tokens_left) == (LONGEST, 100 - LONGEST)


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (NextTokens(""), "no tokens"),
        (NextTokens("Why?", at=((1,),) * 3), "4 places for this model, and 3"),
        (NextTokens("a", at=((VOCABULARY,),)), f"vocabulary of {VOCABULARY}"),
    ],
)
def test_what_cannot_be_told_is_a_problem(request_, problem):
    """Other places and unknown tokens are sentences, and do not stop the other texts."""
    refused, good = ask(random_model("llama"), [request_, NextTokens("Why?")])
    assert problem in refused.problem
    assert refused == Distributions(problem=refused.problem)
    assert good.problem == ""


def test_nan_is_a_problem():
    """A broken model tells no probabilities."""
    model = random_model("llama")
    model.model.norm.weight.data[3] = math.nan
    (answer,) = ask(model, [NextTokens("Why?")])
    assert answer == Distributions(problem="NaN or Inf logits")

"""Multiple choice: sums, lengths, ties, several right options, and the requests."""

from __future__ import annotations

import math

import pytest
import torch

from pytest_llmsafety.inference.backends.base import BackendSettings
from pytest_llmsafety.inference.backends.hf import HuggingFaceBackend
from pytest_llmsafety.metrics.multiple_choice import MultipleChoice, MultipleChoicePerCharacter
from pytest_llmsafety.metrics.truth_share import TruthShare
from pytest_llmsafety.specs import Arm, ModelSpec
from pytest_llmsafety.types import ChoiceItem, Likelihood, Loglikelihood, TruthItem
from tests.stand_ins.random_models import letter_tokenizer, random_model
from tests.unit.metrics.answers import nats

ITEM = ChoiceItem("q", "Q:", options=("no", "yes indeed", "maybe"), label=1)
TRUTH = TruthItem("t", "Q:", options=("best.", "also.", "myth.", "lie."), right=(0, 1))


def value(item, *logprobs, metric=None):
    """The score of one item whose options have these likelihoods."""
    (score,) = (metric or MultipleChoice()).scores([item], [nats(*logprobs)])
    return score.value


def test_every_option_follows_the_whole_prompt_after_a_space():
    """An option is a request of its own: nothing of another option or prompt can leak in."""
    requests = MultipleChoice().requests(ITEM)
    assert requests == tuple(Loglikelihood("Q:", f" {option}") for option in ITEM.options)
    assert TruthShare().requests(ITEM) == requests


def test_the_likeliest_option_is_the_answer():
    """By sums, and by means per character, each in its own metric; both are figures of either."""
    logprobs = (-2.0, -3.0, -9.0)
    assert value(ITEM, *logprobs) == 0.0
    assert value(ITEM, *logprobs, metric=MultipleChoicePerCharacter()) == 1.0
    scores = MultipleChoice().scores([ITEM], [nats(*logprobs)])
    figures = MultipleChoice().figures([ITEM], scores)
    assert figures == {"accuracy": 0.0, "accuracy per character": 1.0, "prompts cut": 0.0}
    assert scores[0].text == "no"


def test_a_tie_is_no_right_answer():
    """A model that gives all options the same likelihood is not right by their order."""
    assert value(TRUTH, -1.0, -1.0, -1.0, -1.0) == 0.0


def test_other_true_answers_do_not_count_in_mc1():
    """The best answer has to beat the false ones, not the other true ones."""
    assert value(TRUTH, -2.0, -1.0, -3.0, -4.0) == 1.0
    assert value(TRUTH, -2.0, -1.0, -1.5, -4.0) == 0.0


def test_mc2_is_the_probability_of_the_true_answers():
    """Shares of exp(sum), and no underflow where every option is very unlikely."""
    shares = [math.log(p) for p in (0.1, 0.2, 0.3, 0.4)]
    assert value(TRUTH, *shares, metric=TruthShare()) == pytest.approx(0.3)
    far = [share - 5000 for share in shares]
    assert value(TRUTH, *far, metric=TruthShare()) == pytest.approx(0.3)


@pytest.mark.parametrize("metric", [MultipleChoice(), TruthShare()])
def test_a_missing_option_leaves_no_value(metric):
    """Neither fewer likelihoods, nor NaN, nor a problem become a number."""
    for logprobs in ((-1.0, None, -2.0), (-1.0, -2.0), (-1.0, float("nan"), -2.0)):
        (score,) = metric.scores([ITEM], [nats(*logprobs)])
        assert score.value is None
        assert score.problem


def test_cut_prompts_are_counted():
    """A prompt that lost tokens leaves its mark in the score and in the figures."""
    answers = (Likelihood(-1.0, 1, tokens_cut=7), Likelihood(-0.5, 1), Likelihood(-3.0, 1))
    scores = MultipleChoice().scores([ITEM], [answers])
    assert dict(scores[0].parts)["cut"] == 7.0
    assert MultipleChoice().figures([ITEM], scores)["prompts cut"] == 1.0


# ------------------------------------------------------------------------ published mistake 2


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A tiny Llama with one token a character, on disk."""
    folder = tmp_path_factory.mktemp("model")
    random_model("llama").save_pretrained(folder)
    letter_tokenizer().save_pretrained(folder)
    return folder


def mistaken(model, tokenizer, requests):
    """Mistake 2: rows padded on the left, all cut at the first row's prefix, no position ids."""
    rows = [tokenizer(request.context + request.continuation)["input_ids"] for request in requests]
    width = max(map(len, rows))
    ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
    prefix = len(tokenizer(requests[0].context)["input_ids"])
    with torch.no_grad():
        logprobs = model(ids).logits.log_softmax(-1)
    found = logprobs[:, :-1].gather(2, ids[:, 1:, None])[..., 0]
    return found[:, prefix - 1 :].sum(1).tolist()


def test_options_of_any_length_are_scored_as_if_alone(small):
    """In one batch with other lengths an option has its own likelihood; the mistaken way has not.

    Mistake 2 of published code: the first row's prefix length for all rows of a left-padded batch.
    """
    item = ChoiceItem("q", "what is it? it", options=("is", "is not at all", "may be"), label=0)
    requests = MultipleChoice().requests(item)
    arm = Arm(ModelSpec(str(small), device="cpu"))
    backend = HuggingFaceBackend(arm, BackendSettings())
    found = {i: answer for batch in backend.answer(requests) for i, answer in batch}
    model, tokenizer = random_model("llama"), letter_tokenizer()
    for i, request in enumerate(requests):
        (alone,) = mistaken(model, tokenizer, [request])  # one row: nothing is padded
        assert found[i].logprob == pytest.approx(alone, abs=1e-4)
    together = mistaken(model, tokenizer, requests)
    wrong = [abs(found[i].logprob - other) for i, other in enumerate(together)]
    assert max(wrong) > 1.0
    assert [found[i].n_tokens for i in range(3)] == [len(o) + 1 for o in item.options]

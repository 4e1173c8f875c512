"""Likelihoods and greedy texts against lm-evaluation-harness (values in shared/golden)."""

from __future__ import annotations

import json
import math

import pytest

from pytest_llmsafety.inference.backends.base import BackendSettings
from pytest_llmsafety.inference.backends.hf import HuggingFaceBackend
from pytest_llmsafety.specs import Arm, ModelSpec
from pytest_llmsafety.types import Generate, Loglikelihood

TOLERANCE = 1e-3  # nats
ROLLING_TOLERANCE = 5e-3
LONGEST = 510  # tokens of a document that lm_eval scores in one window of 512, two BOS included
CLOSE_CALL = 5e-3  # between the two best logits: rounding may decide


@pytest.fixture(scope="module")
def golden(shared):
    """What was asked, and what lm_eval answered."""
    folder = shared / "golden" / "lmeval"
    names = ("inputs", "stories3M.lmeval", "stories3M.seedloop")
    return [json.loads((folder / f"{name}.json").read_text()) for name in names]


@pytest.fixture(scope="module")
def ask(shared):
    """A function from requests to responses in order, for a batch size in tokens."""
    arm = Arm(ModelSpec(str(shared / "models" / "stories3M"), device="cpu"))

    def ask(requests, batch_tokens=None):
        backend = HuggingFaceBackend(arm, BackendSettings(batch_tokens=batch_tokens))
        found = {index: answer for batch in backend.answer(requests) for index, answer in batch}
        return [found[index] for index in range(len(requests))]

    return ask


def options(inputs):
    """Return the 600 options of the 200 BBQ questions."""
    return [
        Loglikelihood(question["prompt"], " " + option)
        for question in inputs["bbq"]
        for option in question["options"]
    ]


def test_options_have_lm_evals_likelihoods(golden, ask):
    """All 600 agree to 1e-3 nats, in tokens, greedy flags and every question's answer."""
    inputs, theirs, loop = golden
    ours = ask(options(inputs))
    for name in ("loglikelihood_bs1", "loglikelihood_bs16"):
        expected = theirs[name]
        for answer, logprob in zip(ours, expected["logprob"], strict=True):
            assert math.isclose(answer.logprob, logprob, abs_tol=TOLERANCE)
        assert [answer.is_greedy for answer in ours] == expected["is_greedy"]
        assert [a.n_tokens for a in ours] == [len(ids) for ids in expected["continuation_ids"]]
    exact = loop["scores"]["exact_float64_logsoftmax"]
    assert max(abs(a.logprob - e) for a, e in zip(ours, exact, strict=True)) < 1e-4
    assert not any(answer.tokens_cut or answer.problem for answer in ours)


def test_the_batch_does_not_matter(golden, ask):
    """One row at a time or many: less than 1e-4 nats apart."""
    asked = options(golden[0])[:60]
    for one, other in zip(ask(asked), ask(asked, 1), strict=True):
        assert math.isclose(one.logprob, other.logprob, abs_tol=1e-4)


def test_documents_have_lm_evals_likelihoods(golden, ask):
    """Where lm_eval scores in one window, ours is its value without the BOS that it predicts.

    lm_eval puts a BOS before the text's own, so the same is asked of ours by a context of one
    BOS, before which the tokenizer puts another.
    """
    inputs, theirs, _ = golden
    tokens = theirs["rolling_bs1"]["tokens_per_text"]
    short = [index for index, count in enumerate(tokens) if count <= LONGEST][:20]
    ours = ask([Loglikelihood("<s>", inputs["rolling"][index]) for index in short])
    start = theirs["own_checks"]["rolling_bos_given_bos_logprob"]
    for index, answer in zip(short, ours, strict=True):
        expected = theirs["rolling_bs1"]["logprob"][index] - start[index]
        assert math.isclose(answer.logprob, expected, abs_tol=ROLLING_TOLERANCE)
        assert answer.n_tokens == tokens[index] - 1


def test_documents_without_context_follow_one_bos(golden, ask):
    """The document request scores the same tokens after a single BOS."""
    inputs, theirs, _ = golden
    ours = ask([Loglikelihood("", text) for text in inputs["rolling"][:10]])
    counts = theirs["rolling_bs1"]["tokens_per_text"][:10]
    assert max(counts) > LONGEST  # sliding windows are among them
    assert [answer.n_tokens for answer in ours] == [count - 1 for count in counts]
    for answer, logprob in zip(ours, theirs["rolling_bs1"]["logprob"], strict=False):
        assert abs(answer.logprob - logprob) < 0.03 * abs(logprob)


def test_greedy_texts_are_lm_evals(golden, ask):
    """All 50 texts are equal; lm_eval drops the space between prompt and text, ours keeps it."""
    inputs, theirs, _ = golden
    ours = ask([Generate(prompt, max_new_tokens=32) for prompt in inputs["generate"]])
    for name in ("generate_bs1", "generate_bs16"):
        checks = theirs["own_checks"]["greedy"]
        for answer, text, check in zip(ours, theirs[name]["text"], checks, strict=True):
            if check["min_top2_logit_gap"] >= CLOSE_CALL:
                assert answer.texts[0].removeprefix(" ") == text
                assert answer.n_tokens[0] == len(check["ids"])

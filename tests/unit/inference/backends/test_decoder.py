"""One answer whatever the batch: for every family of models, on either side of padding."""

from __future__ import annotations

import functools
import math
import warnings

import pytest
import torch

from pytest_llmsafety.inference.backends.base import BackendSettings
from pytest_llmsafety.inference.backends.hf import HuggingFaceBackend
from pytest_llmsafety.types import Generate, Loglikelihood
from tests.stand_ins.random_models import FAMILIES, letter_tokenizer, random_model

PROMPTS = (
    "Once upon a time there was",
    "Once upon a time there were two of them",
    "Hi",
    "The quick brown fox jumps over the lazy",
)
OPTIONS = (" yes", " yet another", " no", "!")
DOCUMENT = "a document that is longer than what the model reads at once: " * 2
SCORED = [Loglikelihood(p, o) for p in PROMPTS for o in OPTIONS] + [Loglikelihood("", DOCUMENT)]
WRITTEN = [Generate(p, 9) for p in PROMPTS] + [
    Generate(p, 5, temperature=1.0, top_p=0.9, n=2, key=p) for p in PROMPTS
]
SAME = 1e-4  # nats


@pytest.fixture(scope="module")
def tokenizer():
    """One token a character."""
    return letter_tokenizer()


def backend(model, tokenizer, *, padding="right", tokens=None):
    """Return a backend; with `tokens=1` every batch has one row."""
    return HuggingFaceBackend.of(
        model, tokenizer, BackendSettings(batch_tokens=tokens), padding=padding
    )


def answers(backend, requests):
    """Return the responses in order."""
    found = {index: response for batch in backend.answer(requests) for index, response in batch}
    return [found[index] for index in range(len(requests))]


def direct(model, tokenizer, request):
    """Return the log-likelihood from one plain forward pass in float64."""
    start = len(tokenizer(request.context)["input_ids"])
    ids = tokenizer(request.context + request.continuation)["input_ids"]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits[0].double()
    logprob = logits.log_softmax(-1)
    return sum(logprob[i - 1, ids[i]].item() for i in range(start, len(ids)))


@pytest.mark.filterwarnings("ignore")  # of transformers about its own slow paths
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_answers_do_not_depend_on_the_batch(family, tokenizer):
    """Batched or alone, padded left or right: one likelihood to 1e-4 nats, one text."""
    model = random_model(family)
    batched = backend(model, tokenizer)
    assert batched.decoder.shares == (family != "mamba")
    scores, texts = answers(batched, SCORED), answers(batched, WRITTEN)
    for padding, tokens in (("left", None), ("right", 1)):
        again = backend(model, tokenizer, padding=padding, tokens=tokens)
        for one, other in zip(scores, answers(again, SCORED), strict=True):
            assert math.isclose(one.logprob, other.logprob, abs_tol=SAME)
            assert one.n_tokens == other.n_tokens
        assert answers(again, WRITTEN) == texts
    for score, request in zip(scores[:-1], SCORED[:-1], strict=True):
        assert math.isclose(score.logprob, direct(model, tokenizer, request), abs_tol=SAME)


@pytest.mark.filterwarnings("ignore")  # of transformers about its own slow paths
@pytest.mark.parametrize("family", ["bloom", "gemma2", "gpt2", "llama", "mamba", "mistral", "opt"])
def test_greedy_texts_are_those_of_generate(family, tokenizer):
    """Token for token what transformers' own generate writes, one prompt at a time."""
    model = random_model(family, seed=1)
    for request, answer in zip(
        WRITTEN, answers(backend(model, tokenizer), WRITTEN[:4]), strict=False
    ):
        ids = torch.tensor([tokenizer(request.context)["input_ids"]])
        mask = torch.ones_like(ids)
        written = model.generate(
            input_ids=ids, attention_mask=mask, max_new_tokens=9, do_sample=False, pad_token_id=0
        )
        text = tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True)
        assert answer.texts == (text,)


def test_plain_whole_texts_give_the_same_answers(tokenizer):
    """The way for models whose past cannot be shared agrees with the shared one."""
    model = random_model("llama")
    shared, plain = backend(model, tokenizer), backend(model, tokenizer)
    plain.decoder.shares = plain.decoder.rides = False
    for one, other in zip(answers(shared, SCORED), answers(plain, SCORED), strict=True):
        assert math.isclose(one.logprob, other.logprob, abs_tol=SAME)
    assert answers(shared, WRITTEN) == answers(plain, WRITTEN)


def test_options_cost_one_context(tokenizer):
    """The positions computed are those of the contexts and of the options, once each."""
    model = random_model("llama")
    scorer, positions = backend(model, tokenizer), []
    forward = scorer.decoder.model.forward

    def counted(*arguments, **named):
        positions.append(named["input_ids"].numel())
        return forward(*arguments, **named)

    scorer.decoder.model.forward = counted
    answers(scorer, [Loglikelihood("a question of 30 letters, yes?", o) for o in OPTIONS])
    assert sum(positions) == 31 + sum(len(option) - 1 for option in OPTIONS)


def test_a_sliding_window_hides_what_is_far(tokenizer):
    """With sliding attention in every layer, far tokens stop mattering in all paths alike."""
    model = random_model("mistral")
    near, far = (
        Loglikelihood(start + " and then the same words again and again", "!")
        for start in ("abcdefgh", "zyxwvuts")
    )
    for tokens in (None, 1):
        one, other = answers(backend(model, tokenizer, tokens=tokens), [near, far])
        assert math.isclose(one.logprob, other.logprob, abs_tol=SAME)


def test_a_model_may_bring_its_own_cache(tokenizer):
    """A cache that changes what it stores changes scores and texts alike."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    class Coarse(DynamicLayer):
        """Values made smaller."""

        def update(self, keys, values, *_arguments, **_named):
            return super().update(keys, values * 0.9)

    def coarse_cache():
        cache = DynamicCache()
        cache.layer_class_to_replicate = Coarse
        return cache

    model = random_model("llama")
    before = answers(backend(model, tokenizer), SCORED)
    model.llmsafety_cache = coarse_cache
    coarse = answers(backend(model, tokenizer), SCORED)
    alone = answers(backend(model, tokenizer, tokens=1), SCORED)
    for dense, one, other in zip(before, coarse, alone, strict=True):
        assert abs(dense.logprob - one.logprob) > SAME
        assert math.isclose(one.logprob, other.logprob, abs_tol=SAME)


def test_a_warning_made_an_error_is_not_taken_for_the_models(tokenizer, monkeypatch):
    """Under `-W error` a library's warning is shown, instead of a slower way without a word."""
    model = random_model("llama")
    forward = model.forward

    def warns(*args, **kwargs):
        warnings.warn("old", FutureWarning, stacklevel=2)
        return forward(*args, **kwargs)

    monkeypatch.setattr(model, "forward", functools.wraps(forward)(warns))
    with pytest.raises(FutureWarning, match="old"):
        HuggingFaceBackend.of(model, tokenizer, BackendSettings())

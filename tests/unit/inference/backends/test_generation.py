"""Generation: warping as defined, sampling as its probabilities say, texts cut where asked."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from transformers import TopPLogitsWarper

from pytest_llmsafety.inference.backends import hf
from pytest_llmsafety.inference.backends.base import BackendSettings
from pytest_llmsafety.inference.backends.generation import Sample, next_tokens, warp
from pytest_llmsafety.inference.backends.hf import HuggingFaceBackend
from pytest_llmsafety.types import Generate
from tests.stand_ins.random_models import letter_tokenizer, random_model


@pytest.fixture(scope="module")
def tokenizer():
    """One token a character."""
    return letter_tokenizer()


@pytest.fixture(scope="module")
def model():
    """A tiny Llama."""
    return random_model("llama")


def write(model, tokenizer, requests, **settings):
    """Return the responses in order."""
    backend = HuggingFaceBackend.of(model, tokenizer, BackendSettings(**settings))
    found = {index: response for batch in backend.answer(requests) for index, response in batch}
    return [found[index] for index in range(len(requests))]


def warped(logits, asked):
    """Log-probabilities (rows, vocabulary), -inf where a token is left out."""
    found = torch.full_like(logits, -torch.inf)
    for rows, tokens, logs in warp(logits, asked):
        found[rows] = found[rows].scatter(-1, tokens, logs)
    return found


@settings(deadline=None)
@given(st.floats(0.05, 1.0), st.floats(0.1, 3.0), st.integers(0, 99))
def test_warping_equals_that_of_transformers(top_p, temperature, seed):
    """Temperature and top-p keep the tokens that transformers keeps, with their probabilities."""
    logits = torch.randn(3, 20, generator=torch.Generator().manual_seed(seed))
    ours = warped(logits, [Generate("", temperature=temperature, top_p=top_p)] * 3).exp()
    theirs = TopPLogitsWarper(top_p)(None, logits / temperature).softmax(-1)
    kept = ours / ours.sum(-1, keepdim=True)
    # a sum that meets top_p up to rounding may fall on either side
    assert ((kept > 0) != (theirs > 0)).sum() <= 1 or torch.allclose(kept, theirs, atol=1e-4)
    if torch.equal(kept > 0, theirs > 0):
        torch.testing.assert_close(kept, theirs, atol=1e-5, rtol=1e-3)


def test_each_row_is_warped_by_its_own_request():
    """Rows with and without top-p in one batch keep their own rule."""
    logits = torch.randn(2, 30, generator=torch.Generator().manual_seed(0))
    asked = [Generate("", temperature=0.7, top_p=0.3), Generate("", temperature=1.5)]
    together = warped(logits, asked)
    for row, request in enumerate(asked):
        alone = warped(logits[row : row + 1], [request])
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-6, rtol=0)


def test_a_wide_nucleus_is_found_beside_narrow_ones():
    """Of 2,000 tokens one row keeps a few, one over a thousand, one all: as if sorted alone."""
    logits = torch.randn(3, 2000, generator=torch.Generator().manual_seed(1))
    logits[0] *= 8
    asked = [Generate("", temperature=1.0, top_p=p) for p in (0.9, 0.95, 1.0)]
    found = warped(logits, asked)
    kept = (found > -torch.inf).sum(-1).tolist()
    assert kept[0] < 256 < kept[1] < kept[2] == 2000
    for row, request in enumerate(asked):
        theirs = TopPLogitsWarper(request.top_p)(None, logits[row : row + 1])[0] > -torch.inf
        assert ((found[row] > -torch.inf) != theirs).sum() <= 1
        alone = warped(logits[row : row + 1], [request])
        assert torch.equal(found[row : row + 1], alone)


def test_draws_follow_the_probabilities():
    """Over many items the frequencies of tokens are their probabilities (chi-squared)."""
    logits = torch.randn(1, 8, generator=torch.Generator().manual_seed(5))
    samples = [
        Sample(item, 0, Generate("", temperature=1.0, key=str(item)), []) for item in range(4000)
    ]
    drawn = torch.tensor(next_tokens(samples, logits.expand(4000, -1)))
    counts = torch.bincount(drawn, minlength=8).numpy()
    expected = logits[0].double().softmax(-1).numpy() * 4000
    assert stats.chisquare(counts, expected).pvalue > 1e-3


def test_dense_and_compressed_share_their_noise():
    """Two models with nearly equal logits draw nearly always the same token."""
    logits = torch.randn(500, 50, generator=torch.Generator().manual_seed(1))
    samples = [Sample(i, 0, Generate("", temperature=1.0, key=str(i)), []) for i in range(500)]
    near = logits + 0.01 * torch.randn(500, 50, generator=torch.Generator().manual_seed(2))
    one, other = next_tokens(samples, logits), next_tokens(samples, near)
    assert sum(a != b for a, b in zip(one, other, strict=True)) < 25


def test_a_sample_depends_on_its_key_seed_and_number_only(model, tokenizer):
    """In another batch, or with more samples, a text stays the same; another seed changes it."""
    asked = [Generate("Hello", 8, temperature=1.0, key=str(item), n=3) for item in range(6)]
    together = write(model, tokenizer, asked)
    assert [write(model, tokenizer, [one])[0] for one in asked] == together
    assert write(model, tokenizer, asked, batch_tokens=1) == together
    fewer = write(model, tokenizer, [Generate("Hello", 8, temperature=1.0, key="0", n=2)])[0]
    assert fewer.texts == together[0].texts[:2]
    assert len({texts for answer in together for texts in answer.texts}) > 12
    other = write(model, tokenizer, [Generate("Hello", 8, temperature=1.0, key="0", n=3, seed=1)])
    assert other[0].texts != together[0].texts


def test_greedy_samples_are_copies(model, tokenizer):
    """Without temperature all n texts are the greedy one, made once."""
    (answer,) = write(model, tokenizer, [Generate("Hello", 5, n=3)])
    assert len(set(answer.texts)) == 1
    assert len(answer.texts) == len(answer.n_tokens) == len(answer.finished) == 3


def test_a_stop_string_ends_a_text_and_is_cut_from_it(model, tokenizer):
    """The text ends before the first of its stop strings, which may span tokens."""
    (whole,) = write(model, tokenizer, [Generate("Hello", 20)])
    text = whole.texts[0]
    assert not whole.finished[0]
    assert whole.n_tokens == (20,)
    stops = (text[7:9], text[4:7], "never there")
    asked = [Generate("Hello", 20, stop=stops), Generate("Hello", 20, stop=("never there",))]
    cut, uncut = write(model, tokenizer, asked)
    assert cut.texts[0] == text[: min(text.find(stops[0]), text.find(stops[1]))]
    assert cut.finished == (True,)
    assert cut.n_tokens[0] < 20
    assert uncut == whole


def test_the_end_token_ends_a_text_and_is_not_in_it(model, tokenizer, monkeypatch):
    """Short texts leave the batch, and the others do not notice."""
    asked = [Generate(f"{start}ello", 20) for start in "HJKLM"]
    whole = write(model, tokenizer, asked)
    end = tokenizer(whole[0].texts[0][5])["input_ids"][-1]
    usual = hf.end_tokens(model, tokenizer)
    monkeypatch.setattr(hf, "end_tokens", lambda *_: usual | {end})
    backend = HuggingFaceBackend.of(model, tokenizer)
    ((*cut,),) = backend.answer(asked)
    for index, answer in cut:
        before, found, _ = whole[index].texts[0].partition(tokenizer.decode([end]))
        assert answer.texts == (before,)
        assert answer.finished == (bool(found) or whole[index].finished[0],)
        assert answer.n_tokens[0] <= whole[index].n_tokens[0]


def test_no_new_tokens_is_no_text(model, tokenizer):
    """max_new_tokens=0 gives an empty text that did not end by itself."""
    (answer,) = write(model, tokenizer, [Generate("Hello", 0)])
    assert answer.texts == ("",)
    assert answer.finished == (False,)


def test_an_empty_prompt_starts_from_the_start_token(model, tokenizer):
    """A text may be written from nothing."""
    (answer,) = write(model, tokenizer, [Generate("", 4)])
    assert answer.n_tokens == (4,)


def test_a_long_prompt_is_cut_from_the_left_and_counted(model, tokenizer):
    """What is cut is said, and the text is that of the prompt's end."""
    long, short = "x" * 100 + "y" * 54, "y" * 54
    answer, _ = write(model, tokenizer, [Generate(long, 10), Generate(short, 10)])
    assert answer.tokens_cut == 1 + 154 - 54
    assert answer.n_tokens == (10,)


def test_a_text_longer_than_the_window_is_a_problem(model, tokenizer):
    """Where no token of the prompt could stay, there is a sentence and no text."""
    (answer,) = write(model, tokenizer, [Generate("Hello", 64)])
    assert answer.texts == ()
    assert "no room" in answer.problem

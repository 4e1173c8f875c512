"""Perplexity of documents."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmsafety.metrics.perplexity import Perplexity, bits_per_byte, perplexity
from pytest_llmsafety.types import Likelihood, Loglikelihood, TextItem
from tests.unit.metrics.answers import nats

SHORT, LONG = TextItem("short", "ab"), TextItem("long", "é" * 10)


def test_the_whole_document_is_one_request() -> None:
    """No context, and nothing of another document."""
    assert Perplexity().requests(SHORT) == (Loglikelihood("", "ab"),)


def test_long_documents_weigh_more() -> None:
    """Mistake 4: an unweighted mean over windows gives another perplexity."""
    answers = [nats(-8.0, n_tokens=2), nats(-10.0, n_tokens=10)]
    scores = Perplexity().scores([SHORT, LONG], answers)
    mistaken = math.exp((8 / 2 + 10 / 10) / 2)
    assert perplexity(scores) == pytest.approx(math.exp(18 / 12))
    assert mistaken == pytest.approx(math.exp(2.5))


@given(st.integers(1, 11))
def test_splitting_a_document_changes_nothing(n_first: int) -> None:
    """Token-weighted perplexity does not depend on where a text is cut."""
    whole = Perplexity().scores([LONG], [nats(-12.0, n_tokens=12)])
    halves = Perplexity().scores(
        [SHORT, LONG], [nats(-n_first, n_tokens=n_first), nats(n_first - 12, n_tokens=12 - n_first)]
    )
    assert perplexity(halves) == pytest.approx(perplexity(whole))


def test_bits_per_byte_count_utf8() -> None:
    """Ten letters of two bytes each; comparable across tokenizers."""
    scores = Perplexity().scores([LONG], [nats(-20 * math.log(2), n_tokens=3)])
    assert bits_per_byte(scores) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "answer", [nats(None), nats(float("nan")), (Likelihood(-1.0, 0),), nats(float("-inf"))]
)
def test_a_document_without_a_likelihood_has_no_value(answer: tuple[Likelihood, ...]) -> None:
    """It is left out aloud, never counted as 0 nats."""
    (score,) = Perplexity().scores([SHORT], [answer])
    assert score.value is None
    assert score.problem


def test_figures_without_documents_are_undefined() -> None:
    """None, never a perplexity of 1."""
    assert Perplexity().figures([], []) == {"perplexity": None, "bits per byte": None}

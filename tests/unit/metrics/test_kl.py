"""KL(dense || other) from the answers of two models."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmsafety.metrics.base import FollowUp
from pytest_llmsafety.metrics.kl import KL, divergence
from pytest_llmsafety.metrics.perplexity import Perplexity
from pytest_llmsafety.types import Distributions, NextTokens, TextItem

ITEM = TextItem("t", "some text")
SHARES = st.lists(st.floats(0.01, 1), min_size=6, max_size=6)


def answer(*places, rest=None, first=0, left=0):
    """An answer with these probabilities, place by place; `rest` is what is left at each."""
    logs = tuple(tuple(math.log(share) for share in place) for place in places)
    n = len(places)
    ids = tuple(tuple(range(len(place))) for place in places)
    return Distributions(ids, logs, (rest and math.log(rest),) * n, (first,) * n, tokens_left=left)


def test_only_the_other_model_is_asked_about_named_tokens():
    """The dense model names its most likely tokens; the request to the other one has the same."""
    metric = KL(top=3, max_tokens=9)
    assert isinstance(metric, FollowUp)
    assert not isinstance(Perplexity(), FollowUp)
    assert metric.requests(ITEM) == (NextTokens("some text", 9, 3),)
    dense = Distributions(((4, 2), (1, 9)), ((-1.0, -2.0), (-1.0, -3.0)), (None, None), (4, 1))
    assert metric.follow_up(ITEM, (dense,)) == (NextTokens("some text", 9, at=dense.ids),)
    assert metric.follow_up(ITEM, (Distributions(problem="NaN"),)) == ()


def test_two_coins():
    """KL of a fair coin from one of 1:3 is ln 2 - ln 3 / 2, place by place."""
    dense, other = answer([0.5, 0.5], [0.5, 0.5]), answer([0.25, 0.75], [0.5, 0.5], first=1)
    (score,) = KL().scores([ITEM], [(dense, other)])
    assert score.value == pytest.approx(math.log(2) - math.log(3) / 2)
    assert score.weight == 2.0
    assert dict(score.parts)["agreement"] == 0.0


def test_the_dense_model_does_not_diverge_from_itself():
    """Its own score is 0, and it agrees with itself everywhere."""
    (score,) = KL().scores([ITEM], [(answer([0.7, 0.1], rest=0.2, left=3),)])
    assert (score.value, score.weight) == (0.0, 1.0)
    parts = dict(score.parts)
    assert parts == {"agreement": 1.0, "mass named": pytest.approx(0.8), "tokens": 4.0}


@given(SHARES, SHARES, st.integers(1, 5))
def test_one_bin_for_the_rest_makes_it_smaller_never_larger(p, q, k):
    """The binned KL lies between 0 and the whole one, which numpy computes."""
    p, q = np.array(p) / sum(p), np.array(q) / sum(q)
    order = np.argsort(-p)
    p, q = p[order], q[order]
    exact = float((p * np.log(p / q)).sum())
    binned = divergence(answer(p[:k], rest=p[k:].sum()), answer(q[:k], rest=q[k:].sum()))
    assert -1e-12 <= binned <= exact + 1e-12
    assert divergence(answer(p), answer(q)) == pytest.approx(exact, abs=1e-12)


def test_figures_weigh_every_token_alike():
    """A long text counts more than a short one; a text without a score does not count."""
    short = answer([0.5, 0.5]), answer([0.25, 0.75], first=1)
    long = (answer(*[[0.5, 0.5]] * 9, left=10),) * 2
    broken = (answer([0.5, 0.5]), Distributions(problem="NaN or Inf logits"))
    items = [TextItem(name, name) for name in "abc"]
    scores = KL().scores(items, [short, long, broken])
    figures = KL().figures(items, scores)
    assert figures["KL per token"] == pytest.approx((math.log(2) - math.log(3) / 2) / 10)
    assert figures["top-1 agreement"] == pytest.approx(0.9)
    assert figures["mass named"] == pytest.approx(1.0)
    assert figures["tokens read"] == pytest.approx(10 / 20)
    assert scores[2].problem == "NaN or Inf logits"
    assert set(KL().figures([], []).values()) == {None}


@pytest.mark.parametrize(
    ("dense", "other", "problem"),
    [
        (answer([0.5, 0.5]), answer([0.5, 0.5], [0.5, 0.5]), "different places"),
        (answer([0.5, 0.1]), answer([0.9, 0.9]), "answers are wrong"),
        (Distributions(problem="no tokens"), None, "no tokens"),
    ],
)
def test_what_is_no_divergence_has_no_score(dense, other, problem):
    """Other places and probabilities that sum to something else are never a number."""
    (score,) = KL().scores([ITEM], [tuple(filter(None, (dense, other)))])
    assert score.value is None
    assert problem in score.problem

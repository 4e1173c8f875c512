"""The public fake, and the example of a backend in the protocol's docstring."""

from __future__ import annotations

import doctest
import math

import pytest

from pytest_llmsafety.errors import UnknownNameError
from pytest_llmsafety.inference.backends import BACKENDS, backend_of, base
from pytest_llmsafety.inference.backends.base import Backend
from pytest_llmsafety.inference.backends.fake import FakeBackend
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.inference.engine import Engine
from pytest_llmsafety.specs import Arm, ModelSpec
from pytest_llmsafety.types import Generate, Generation, Likelihood, Loglikelihood, NextTokens

ARM = Arm(ModelSpec("made-up", device="cpu"))


def test_the_table_knows_both():
    """The family's table has the real backend and the fake."""
    assert {"fake", "hf"} <= set(BACKENDS.names())
    assert BACKENDS.load("fake") is FakeBackend


def test_the_spec_of_a_model_names_its_backend():
    """A word before a colon is looked up; without one a model is for transformers."""
    assert backend_of(ModelSpec.parse("fake:any")) is FakeBackend
    assert backend_of(ModelSpec.parse("org/name")).__name__ == "HuggingFaceBackend"
    with pytest.raises(UnknownNameError, match=r"unknown backend 'nobody'. Known: fake, hf"):
        backend_of(ModelSpec.parse("nobody:any"))


def test_answers_may_be_a_table():
    """A dictionary from requests to responses is enough."""
    backend = FakeBackend(ARM)
    asked = Loglikelihood("a", "b")
    backend.answers = {asked: Likelihood(-2.0, 1)}
    assert list(backend.answer([asked])) == [[(0, Likelihood(-2.0, 1))]]


def test_batches_are_as_long_as_asked():
    """`batch` requests are answered at once."""
    kind = FakeBackend.factory(lambda _arm, _request: Likelihood(-1.0, 1), batch=3)
    lengths = [len(batch) for batch in kind(ARM).answer([Loglikelihood("a", "b")] * 7)]
    assert lengths == [3, 3, 1]


def test_the_example_in_the_docstring_is_a_whole_backend():
    """It runs as it is written, and an engine asks what it makes."""
    names = vars(base).copy()
    (example,) = doctest.DocTestFinder(recurse=False).find(Backend, "Backend", globs=names)
    assert doctest.DocTestRunner().run(example, clear_globs=False) == (0, len(example.examples))
    engine = Engine(Cache(None), backend=example.globs["Shout"])
    assert engine.answer(ARM, [Generate("hello")]) == [Generation(("HELLO",), (1,), (True,))]


def test_made_up_distributions_are_whole():
    """At every byte that is read the probabilities of both tokens sum to 1, in any order."""
    backend = FakeBackend(ARM)
    asked = [NextTokens("abc"), NextTokens("abc", max_tokens=2, at=((1, 0), (0, 1)))]
    ((_, free), (_, named)) = next(iter(backend.answer(asked)))
    assert (len(free.first), len(named.first)) == (3, 2)
    for row in (*free.logprobs, *named.logprobs):
        assert math.fsum(map(math.exp, row)) == 1.0
    assert named.logprobs[0] == named.logprobs[1][::-1]

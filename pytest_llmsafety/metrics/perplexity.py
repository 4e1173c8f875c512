"""Perplexity of whole documents, weighted by tokens, and bits per byte."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.metrics.base import ItemMetric, likelihoods, part, problem_of
from pytest_llmsafety.types import Item, Loglikelihood, Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.types import Response


@dataclass(frozen=True)
class Perplexity(ItemMetric):
    """The negative log-likelihood of each document, in nats, summed over its tokens.

    `weight` is the number of tokens, so that exp(sum of values / sum of weights) is the
    perplexity. Documents are scored one by one and never joined. Part: `bytes` (UTF-8).
    """

    name: ClassVar[str] = "perplexity"
    higher_is_better: ClassVar[bool] = False
    support: ClassVar[tuple[float, float]] = (0.0, math.inf)
    measures: ClassVar[str] = "perplexity"
    takes: ClassVar[type[Item]] = Item

    def requests(self, item: Item) -> tuple[Loglikelihood, ...]:
        """Return the likelihood of the whole document."""
        return (Loglikelihood("", item.prompt),)

    def score(self, item: Item, responses: tuple[Response, ...]) -> Score:
        """Return the score of a document; no value when it has no likelihood or no tokens."""
        problem = problem_of(responses)
        (answer,) = likelihoods(responses)
        if problem or answer.logprob is None or not math.isfinite(answer.logprob):
            return Score(item.id, None, problem=problem or "the document has no finite likelihood")
        if answer.n_tokens < 1:
            return Score(item.id, None, problem="the document has no tokens")
        parts = (("bytes", float(len(item.prompt.encode()))),)
        return Score(item.id, -answer.logprob, weight=float(answer.n_tokens), parts=parts)

    def figures(self, items: Sequence[Item], scores: Sequence[Score]) -> dict[str, float | None]:  # noqa: ARG002 - the protocol's
        """Return perplexity and bits per byte over all documents."""
        return {"perplexity": perplexity(scores), "bits per byte": bits_per_byte(scores)}


def perplexity(scores: Sequence[Score]) -> float | None:
    """Return exp(sum of nats / sum of tokens) over the scored documents; None for no tokens."""
    scored = [(score.value, score.weight) for score in scores if score.value is not None]
    n_tokens = sum(weight for _, weight in scored)
    return exp(sum(value for value, _ in scored) / n_tokens) if n_tokens else None


def bits_per_byte(scores: Sequence[Score]) -> float | None:
    """Return sum of bits / sum of UTF-8 bytes, comparable across tokenizers; None for no bytes."""
    scored = [score for score in scores if score.value is not None]
    n_bytes = sum(part(score, "bytes") or 0.0 for score in scored)
    nats = sum(score.value for score in scored if score.value is not None)
    return nats / math.log(2) / n_bytes if n_bytes else None


def exp(nats: float) -> float:
    """Return e to the power of `nats`; infinity when a float cannot hold it."""
    return math.exp(nats) if nats < math.log(sys.float_info.max) else math.inf

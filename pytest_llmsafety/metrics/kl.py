"""KL(dense || other) of the next-token distributions, per token of fixed texts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.metrics.base import ItemMetric, distributions, part, problem_of
from pytest_llmsafety.types import Item, NextTokens, Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.types import Distributions, Request, Response

MASS = "mass named"
READ = "tokens read"
ROUNDING = 1e-6


@dataclass(frozen=True)
class KL(ItemMetric):
    """KL of each text in nats, summed over its first `max_tokens` tokens; `weight` counts them.

    The dense model names its `top` most likely tokens at every place, and the other model gives the
    probabilities of the same tokens. All further tokens are one bin, so that the KL is a lower
    bound (the log sum inequality, a case of data processing: Cover and Thomas, Elements of
    Information Theory, 2.7); with a `top` of the whole vocabulary it is exact. The dense model's
    own KL is 0. Parts: `agreement` (share of places with the same most likely token), `mass named`
    (mean probability of the tokens that the dense model named) and `tokens` of the whole text.
    """

    top: int = 64
    max_tokens: int = 128
    name: ClassVar[str] = "kl"
    higher_is_better: ClassVar[bool] = False
    support: ClassVar[tuple[float, float]] = (0.0, math.inf)
    measures: ClassVar[str] = "divergence"
    takes: ClassVar[type[Item]] = Item

    def requests(self, item: Item) -> tuple[Request, ...]:
        """Return the request for the dense model's most likely tokens."""
        return (NextTokens(item.prompt, self.max_tokens, self.top),)

    def follow_up(self, item: Item, dense: tuple[Response, ...]) -> tuple[Request, ...]:
        """Return the request for the same tokens of the other model; none if none were named."""
        (named,) = distributions(dense)
        return (NextTokens(item.prompt, self.max_tokens, at=named.ids),) if named.ids else ()

    def score(self, item: Item, responses: tuple[Response, ...]) -> Score:
        """Return the score of a text, from the dense answer, followed or not by the other's."""
        problem = problem_of(responses)
        answers = distributions(responses)
        dense, other = answers[0], answers[-1]
        n_places = len(dense.first)
        if problem or not n_places or len(other.first) != n_places:
            return Score(item.id, None, problem=problem or "the two models read different places")
        nats = divergence(dense, other)
        if not math.isfinite(nats) or nats < -ROUNDING * n_places:
            return Score(item.id, None, problem=f"the KL is {nats:.4g}, so the answers are wrong")
        same = sum(a == b for a, b in zip(dense.first, other.first, strict=True))
        mass = sum(math.fsum(map(math.exp, logs)) for logs in other.logprobs)
        parts = (
            ("agreement", same / n_places),
            (MASS, mass / n_places),
            ("tokens", float(n_places + dense.tokens_left)),
        )
        # A sum below 0, within the rounding of the answers, counts as 0.
        return Score(item.id, max(0.0, nats), weight=float(n_places), parts=parts)

    def figures(self, items: Sequence[Item], scores: Sequence[Score]) -> dict[str, float | None]:  # noqa: ARG002 - the protocol's
        """Return KL per token, top-1 agreement, mass of the named tokens, share of tokens read."""
        return {
            "KL per token": per_token(scores),
            "top-1 agreement": weighted(scores, "agreement"),
            MASS: weighted(scores, MASS),
            READ: read(scores),
        }


def per_token(scores: Sequence[Score]) -> float | None:
    """Return the nats per token over all scored texts; None for none."""
    scored = [score for score in scores if score.value is not None]
    nats = sum(score.value for score in scored if score.value is not None)
    return nats / sum(score.weight for score in scored) if scored else None


def weighted(scores: Sequence[Score], name: str) -> float | None:
    """Return the mean of a part over all tokens of the scored texts; None for none."""
    scored = [score for score in scores if score.value is not None]
    total = sum((part(score, name) or 0.0) * score.weight for score in scored)
    return total / sum(score.weight for score in scored) if scored else None


def read(scores: Sequence[Score]) -> float | None:
    """Return the share of the tokens of the scored texts that the KL covers; None for none."""
    scored = [score for score in scores if score.value is not None]
    total = sum(part(score, "tokens") or 0.0 for score in scored)
    return sum(score.weight for score in scored) / total if total else None


def divergence(dense: Distributions, other: Distributions) -> float:
    """Return KL(dense || other) over named tokens and the rest, in nats, summed over places."""
    total = 0.0
    for place, logs in enumerate(zip(dense.logprobs, other.logprobs, strict=True)):
        pairs = list(zip(*logs, strict=True))
        rest = dense.rest[place], other.rest[place]
        if rest[0] is not None and rest[1] is not None:
            pairs.append((rest[0], rest[1]))
        total += math.fsum(math.exp(p) * (p - q) for p, q in pairs)
    return total

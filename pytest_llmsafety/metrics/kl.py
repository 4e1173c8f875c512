"""KL(dense || other) of the next token, per token of fixed texts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytest_llmsafety.metrics.base import distributions, part, problem_of
from pytest_llmsafety.types import Item, NextTokens, Score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.types import Distributions, Request, Response

MASS = "mass told"
READ = "tokens read"
ROUNDING = 1e-6


@dataclass(frozen=True)
class KL:
    """KL of each text in nats, summed over its first `max_tokens` tokens; `weight` counts them.

    The dense model names its `top` likeliest tokens at every place, and the other one is asked
    about those. All further tokens are one bin, so that the KL is a lower bound (the log sum
    inequality, a case of data processing: Cover and Thomas, Elements of Information Theory, 2.7);
    with a `top` of the whole vocabulary it is exact. The dense model's own KL is 0. Parts:
    `agreement` (share of tokens with the same likeliest one), `mass told` (mean probability of
    the tokens that the dense model named) and `tokens` of the whole text.
    """

    top: int = 64
    max_tokens: int = 128
    name: ClassVar[str] = "kl"
    higher_is_better: ClassVar[bool] = False
    support: ClassVar[tuple[float, float]] = (0.0, math.inf)
    measures: ClassVar[str] = "divergence"
    takes: ClassVar[type[Item]] = Item

    def requests(self, item: Item) -> tuple[Request, ...]:
        """The dense model's likeliest tokens."""
        return (NextTokens(item.prompt, self.max_tokens, self.top),)

    def follow_up(self, item: Item, dense: tuple[Response, ...]) -> tuple[Request, ...]:
        """The same tokens, asked of the other model; nothing where the dense one named none."""
        (told,) = distributions(dense)
        return (NextTokens(item.prompt, self.max_tokens, at=told.ids),) if told.ids else ()

    def scores(
        self, items: Sequence[Item], responses: Sequence[tuple[Response, ...]]
    ) -> list[Score]:
        """One score a text, from the dense answer and the other model's where it follows."""
        return [_score(item, answers) for item, answers in zip(items, responses, strict=True)]

    def figures(self, items: Sequence[Item], scores: Sequence[Score]) -> dict[str, float | None]:  # noqa: ARG002 - the protocol's
        """KL, top-1 agreement, mass of the tokens told of, share of tokens read."""
        return {
            "KL per token": per_token(scores),
            "top-1 agreement": weighted(scores, "agreement"),
            MASS: weighted(scores, MASS),
            READ: read(scores),
        }


def per_token(scores: Sequence[Score]) -> float | None:
    """Nats per token over all scored texts; None for none."""
    scored = [score for score in scores if score.value is not None]
    nats = sum(score.value for score in scored if score.value is not None)
    return nats / sum(score.weight for score in scored) if scored else None


def weighted(scores: Sequence[Score], name: str) -> float | None:
    """The mean of a part over all tokens of the scored texts; None for none."""
    scored = [score for score in scores if score.value is not None]
    total = sum((part(score, name) or 0.0) * score.weight for score in scored)
    return total / sum(score.weight for score in scored) if scored else None


def read(scores: Sequence[Score]) -> float | None:
    """The share of all tokens of the scored texts that the KL is about; None for none."""
    scored = [score for score in scores if score.value is not None]
    total = sum(part(score, "tokens") or 0.0 for score in scored)
    return sum(score.weight for score in scored) / total if total else None


def divergence(dense: Distributions, other: Distributions) -> float:
    """KL(dense || other) over the named tokens and the rest, in nats, summed over the places."""
    total = 0.0
    for place, logs in enumerate(zip(dense.logprobs, other.logprobs, strict=True)):
        pairs = list(zip(*logs, strict=True))
        rest = dense.rest[place], other.rest[place]
        if rest[0] is not None and rest[1] is not None:
            pairs.append((rest[0], rest[1]))
        total += math.fsum(math.exp(p) * (p - q) for p, q in pairs)
    return total


def _score(item: Item, responses: tuple[Response, ...]) -> Score:
    """The score of one text; a sum below 0 by no more than rounded answers allow is 0."""
    problem = problem_of(responses)
    answers = distributions(responses)
    dense, other = answers[0], answers[-1]
    n_places = len(dense.first)
    if problem or not n_places or len(other.first) != n_places:
        return Score(item.id, None, problem=problem or "the two models read other places")
    nats = divergence(dense, other)
    if not math.isfinite(nats) or nats < -ROUNDING * n_places:
        return Score(item.id, None, problem=f"a KL of {nats:.4g}: the answers are no distributions")
    same = sum(a == b for a, b in zip(dense.first, other.first, strict=True))
    mass = sum(math.fsum(map(math.exp, logs)) for logs in other.logprobs)
    parts = (
        ("agreement", same / n_places),
        (MASS, mass / n_places),
        ("tokens", float(n_places + dense.tokens_left)),
    )
    return Score(item.id, max(0.0, nats), weight=float(n_places), parts=parts)

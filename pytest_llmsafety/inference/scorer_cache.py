"""Numbers of a scorer for texts, each computed once for a cache."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Protocol

from pytest_llmsafety.errors import ScorerError
from pytest_llmsafety.inference.codec import number
from pytest_llmsafety.models.identity import digest_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.inference.cache import Cache
    from pytest_llmsafety.progress import Progress

TEXTS_AT_ONCE = 64


class Scorer(Protocol):
    """What rates texts; `digest` identifies everything that can change a rating."""

    @property
    def name(self) -> str:
        """What the scorer is called in messages."""

    @property
    def digest(self) -> str:
        """What identifies the scorer in the cache."""

    def score(self, texts: Sequence[str]) -> list[float]:
        """Return one finite number for each text."""


def rated(scorer: Scorer, texts: Sequence[str], cache: Cache, progress: Progress) -> list[float]:
    """Return the scorer's number for each text; equal texts are scored once for a cache.

    Raises ScorerError when the scorer returns too few numbers, or one that is NaN or Inf.
    """
    keys = [digest_json({"scorer": scorer.digest, "text": text}) for text in texts]
    asked = dict(zip(keys, texts, strict=True))

    def score(missing: dict[str, str]) -> dict[str, float]:
        """Store every part as soon as it is there."""
        waiting = list(missing)
        scored: dict[str, float] = {}
        with progress.bar(f"scoring with {scorer.name}", len(waiting)) as bar:
            for start in range(0, len(waiting), TEXTS_AT_ONCE):
                part = waiting[start : start + TEXTS_AT_ONCE]
                new = dict(zip(part, _checked(scorer, [missing[k] for k in part]), strict=True))
                cache.put_many({key: json.dumps(value) for key, value in new.items()})
                scored.update(new)
                bar.advance(len(part))
        return scored

    found = cache.complete(asked, number, score)
    return [found[key] for key in keys]


def _checked(scorer: Scorer, texts: list[str]) -> list[float]:
    """Return the scorer's numbers, one finite number a text."""
    scores = [float(value) for value in scorer.score(texts)]
    if len(scores) != len(texts) or not all(map(math.isfinite, scores)):
        message = (
            f"scorer '{scorer.name}' returned {len(scores)} numbers for {len(texts)} texts, "
            f"{sum(map(math.isfinite, scores))} of them finite. Expected a finite number for each."
        )
        raise ScorerError(message)
    return scores

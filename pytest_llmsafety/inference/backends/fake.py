"""A backend without a model, for tests and examples."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

from pytest_llmsafety.inference.backends.base import Backend, BackendSettings
from pytest_llmsafety.types import Distributions, Generation, Likelihood, Loglikelihood, NextTokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.specs import Arm
    from pytest_llmsafety.types import Request, Response


class FakeBackend(Backend):
    """Answers from a function, a table or, without either, from a hash of the request.

    `answers` maps a request to its response, or is a function of one request. `record` is what
    the compressed arm reports, `batch` the number of requests in one batch. Use
    `FakeBackend.factory(...)` where an engine makes one backend per arm.
    """

    reads_folder = False

    def __init__(self, arm: Arm, settings: BackendSettings | None = None) -> None:
        """Stand in for `arm`."""
        self.arm = arm
        self.settings = settings
        self.record: CompressionRecord | None = None
        self.batch = 16
        self.answers: Callable[[Request], Response] | Mapping[Request, Response] = self.made_up

    @classmethod
    def factory(
        cls,
        answers: Callable[[Arm, Request], Response],
        *,
        records: Mapping[str, CompressionRecord] | None = None,
        batch: int = 16,
    ) -> type[FakeBackend]:
        """Return a backend class that answers `answers(arm, request)`.

        `records` maps an arm's name to the compression record that it reports.
        """

        class Scripted(cls):  # type: ignore[misc, valid-type]
            """A fake with the given answers."""

            def __init__(self, arm: Arm, settings: BackendSettings | None = None) -> None:
                super().__init__(arm, settings)
                self.record = (records or {}).get(arm.name)
                self.batch = batch
                self.answers = lambda request: answers(arm, request)

        return Scripted

    def answer(self, requests: Sequence[Request]) -> Iterator[list[tuple[int, Response]]]:
        """Answer in order, `batch` requests at a time."""
        for start in range(0, len(requests), self.batch):
            part = range(start, min(start + self.batch, len(requests)))
            yield [(index, self._say(requests[index])) for index in part]

    def close(self) -> None:
        """Do nothing."""

    def made_up(self, request: Request) -> Response:
        """Return a response that depends on nothing but the arm's name and the request."""
        digest = hashlib.sha256(f"{self.arm.name}|{request!r}".encode()).digest()
        if isinstance(request, Loglikelihood):
            words = max(1, len(request.continuation.split()))
            return Likelihood(-words * (0.5 + digest[0] / 64), words, is_greedy=bool(digest[1] % 2))
        if isinstance(request, NextTokens):
            return _two_tokens(request, digest[0])
        texts = tuple(f" word{digest[2 + sample % 30]}" for sample in range(request.n))
        return Generation(texts, (1,) * request.n, (True,) * request.n)

    @staticmethod
    def tokens(_folder: Path | None, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """Return the bytes of each text."""
        return [tuple(text.encode()) for text in texts]

    def _say(self, request: Request) -> Response:
        return self.answers(request) if callable(self.answers) else self.answers[request]


def _two_tokens(request: NextTokens, chance: int) -> Distributions:
    """Return distributions over a vocabulary of two tokens, alike at every byte of the text."""
    n_places = min(len(request.text.encode()), request.max_tokens)
    share = (1 + chance) / 257
    ids = request.at or ((0, 1),) * n_places
    logprobs = tuple(tuple(math.log((1 - share, share)[one]) for one in row) for row in ids)
    first = (int(share > 1 - share),) * n_places
    return Distributions(() if request.at else ids, logprobs, (None,) * n_places, first)

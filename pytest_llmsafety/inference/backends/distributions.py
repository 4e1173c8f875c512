"""Distributions: the probabilities of the next token at every place of a text's beginning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pytest_llmsafety.inference.backends.batching import packed
from pytest_llmsafety.inference.backends.scoring import NOT_FINITE, finite_rows
from pytest_llmsafety.types import Distributions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_llmsafety.inference.backends.batching import Budget
    from pytest_llmsafety.inference.backends.decoder import Decoder
    from pytest_llmsafety.types import NextTokens

DECIMALS = 6


@dataclass(frozen=True)
class Document:
    """The tokens of a text that are read; `left` tokens of the text follow them."""

    tokens: tuple[int, ...]
    left: int
    owner: int
    request: NextTokens

    @classmethod
    def of(cls, ids: Sequence[int], owner: int, request: NextTokens, window: int) -> Document:
        """Cut a document, start token first, to what the request names and the model can read."""
        n_places = min(len(ids) - 1, request.max_tokens, window)
        return cls(tuple(ids[:n_places]), len(ids) - 1 - n_places, owner, request)

    def problem(self, vocabulary: int) -> str:
        """Return why there is no answer; empty where there can be one."""
        n_places, at = len(self.tokens), self.request.at
        if not n_places:
            return "the text has no tokens"
        if at and len(at) != n_places:
            return f"the text has {n_places} places for this model, and {len(at)} for the other"
        if any(not 0 <= one < vocabulary for row in at for one in row):
            return f"asked for a token beyond this model's vocabulary of {vocabulary}"
        return ""


class DistributionReader:
    """Computes the distributions of documents with one decoder under one budget."""

    def __init__(self, decoder: Decoder, budget: Budget) -> None:
        """Use `decoder` for batches that fit `budget`."""
        self.decoder = decoder
        self.budget = budget

    def read(self, documents: Sequence[Document]) -> Iterator[list[tuple[int, Distributions]]]:
        """Yield, batch by batch, (owner, answer) for every document, the longest first."""
        problems = {one.owner: one.problem(self.decoder.vocabulary) for one in documents}
        refused = [(o, Distributions(problem=text)) for o, text in problems.items() if text]
        if refused:
            yield refused
        readable = [one for one in documents if not problems[one.owner]]
        done: list[tuple[int, Distributions]] = []

        def fits(batch: list[Document]) -> bool:
            widths = [len(one.tokens) for one in batch]
            return self.budget.fits(widths, past=0, reads=sum(widths))

        def run(batch: list[Document]) -> None:
            done[:] = self._batch(batch)

        ordered = sorted(readable, key=lambda one: (-len(one.tokens), one.tokens, one.owner))
        for _ in packed(ordered, fits, run, self.budget):
            yield list(done)

    def _batch(self, batch: list[Document]) -> list[tuple[int, Distributions]]:
        widths = [len(one.tokens) for one in batch]
        places = [(row, at) for row, width in enumerate(widths) for at in range(width)]
        logits, _ = self.decoder.forward([one.tokens for one in batch], places)
        rows = torch.split(logits, widths)
        pairs = zip(batch, rows, strict=True)
        return [(one.owner, distributions_of(own, one)) for one, own in pairs]


def distributions_of(logits: torch.Tensor, document: Document) -> Distributions:
    """Return the answer for one document from its logits (places, vocabulary), in float64.

    Six decimals are kept, so that answers stay small.
    """
    if not bool(finite_rows(logits).all()):
        return Distributions(problem=NOT_FINITE)
    logs = logits.double().log_softmax(dim=-1)
    request, vocabulary = document.request, logs.shape[-1]
    if request.at:
        ids = torch.tensor(request.at, device=logs.device)
    else:
        ids = logs.topk(min(request.top, vocabulary), dim=-1).indices
    others = logs.scatter(-1, ids, -torch.inf).logsumexp(dim=-1)
    return Distributions(
        ids=() if request.at else tuple(map(tuple, ids.tolist())),
        logprobs=tuple(map(rounded, logs.gather(-1, ids).tolist())),
        rest=rounded(others.tolist()) if ids.shape[-1] < vocabulary else (None,) * len(logs),
        first=tuple(logs.argmax(dim=-1).tolist()),
        tokens_left=document.left,
    )


def rounded(numbers: Sequence[float]) -> tuple[float, ...]:
    """Return each number with DECIMALS decimals."""
    return tuple(round(number, DECIMALS) for number in numbers)

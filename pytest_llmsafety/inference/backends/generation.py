"""Generation: one batch of prompts in, their continuations out, finished rows leaving early."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from pytest_llmsafety.inference.backends.batching import largest
from pytest_llmsafety.inference.backends.kv_cache import Past
from pytest_llmsafety.inference.backends.noise import gumbel, row_key
from pytest_llmsafety.inference.backends.scoring import finite_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_llmsafety.inference.backends.batching import Budget
    from pytest_llmsafety.inference.backends.decoder import Decoder
    from pytest_llmsafety.types import Generate

NUCLEUS = 256
"""So many of the likeliest tokens are looked through for a nucleus, before all are sorted."""
LEAVE_AT = 0.75
SHORTEST_SHARED = 8


@dataclass
class Sample:
    """One text that is being generated: sample `number` of the request at index `owner`."""

    owner: int
    number: int
    request: Generate
    prompt: list[int]
    tokens: list[int] = field(default_factory=list)
    finished: bool = False
    broken: bool = False

    def __post_init__(self) -> None:
        """Derive the key of its noise."""
        self.key = row_key(self.request.seed, self.request.key, self.number)

    @property
    def done(self) -> bool:
        """Return whether no token is to be added any more."""
        full = len(self.tokens) >= self.request.max_new_tokens
        return self.finished or self.broken or full


class Generator:
    """Continues batches of prompts with one decoder.

    `ends` are the ids of the end tokens; `stopped` says whether a sample's text so far holds
    one of its stop strings.
    """

    def __init__(
        self,
        decoder: Decoder,
        budget: Budget,
        *,
        ends: frozenset[int],
        stopped: Callable[[Sample], bool],
    ) -> None:
        """Use `decoder` until an end token or a stop string; prompts in batches of `budget`."""
        self.decoder = decoder
        self.budget = budget
        self.ends = ends
        self.stopped = stopped

    @torch.inference_mode()
    def run(self, samples: Sequence[Sample]) -> None:
        """Generate the tokens of all `samples`, which form one batch."""
        for sample in samples:
            sample.tokens.clear()
            sample.finished = sample.broken = False
        prompts = [list(ids) for ids in dict.fromkeys(tuple(s.prompt) for s in samples)]
        place = {tuple(prompt): row for row, prompt in enumerate(prompts)}
        rows = [place[tuple(sample.prompt)] for sample in samples]
        logits, past = self._prompts(prompts)
        logits = logits[rows]
        past = past.select(rows) if past is not None else None
        active = list(samples)
        while True:
            self._choose(active, logits)
            going = [row for row, sample in enumerate(active) if not sample.done]
            if not going:
                return
            if len(going) <= LEAVE_AT * len(active) or past is None:
                active = [active[row] for row in going]
                past = past.select(going) if past is not None else None
            logits, past = self._step(active, past)

    def _prompts(self, prompts: list[list[int]]) -> tuple[torch.Tensor, Past | None]:
        """Return the logits after each prompt (prompts, vocabulary), and their past."""
        shared = self._shared(prompts)
        past = None
        if shared:
            _, past = self.decoder.forward([prompts[0][:shared]], [], keep=True)
        logits, pasts = [], []
        for part in self._parts([prompt[shared:] for prompt in prompts]):
            before = past.select([0] * len(part)) if past is not None else None
            reads = [(row, len(ids) - 1) for row, ids in enumerate(part)]
            read, after = self.decoder.forward(part, reads, past=before, keep=self.decoder.shares)
            logits.append(read)
            if after is not None:
                pasts.append(after.select(range(len(part))))
        return torch.cat(logits), Past.join(pasts) if pasts else None

    def _parts(self, prompts: list[list[int]]) -> Iterator[list[list[int]]]:
        """Yield the prompts, in order, in batches of little padding."""

        def fits(part: list[list[int]]) -> bool:
            return self.budget.fits([len(ids) for ids in part], past=0, reads=len(part))

        start = 0
        while start < len(prompts):
            size = largest(prompts, start, fits)
            yield prompts[start : start + size]
            start += size

    def _shared(self, prompts: list[list[int]]) -> int:
        """Return how many tokens all prompts begin with, where it is worth a pass; else 0."""
        if len(prompts) == 1 or not self.decoder.shares:
            return 0
        low, high = min(prompts), max(prompts)
        length = 0
        while length < min(len(low), len(high)) and low[length] == high[length]:
            length += 1
        length = min(length, min(len(prompt) for prompt in prompts) - 1)
        return length if length >= SHORTEST_SHARED else 0

    def _step(self, active: list[Sample], past: Past | None) -> tuple[torch.Tensor, Past | None]:
        """Return the logits after the newest token of each row, and the longer past."""
        if past is None:
            whole = [sample.prompt + sample.tokens for sample in active]
            return self.decoder.forward(whole, [(r, len(ids) - 1) for r, ids in enumerate(whole)])
        newest = [sample.tokens[-1:] or [0] for sample in active]  # [0]: a row that has left early
        reads = [(row, 0) for row in range(len(active))]
        return self.decoder.forward(newest, reads, past=past, keep=True)

    def _choose(self, active: list[Sample], logits: torch.Tensor) -> None:
        finite = finite_rows(logits).tolist()
        for sample, token, good in zip(active, next_tokens(active, logits), finite, strict=True):
            if sample.done:
                continue
            if not good:
                sample.broken = True
            elif token in self.ends:
                sample.finished = True
            else:
                sample.tokens.append(token)
                sample.finished = bool(sample.request.stop) and self.stopped(sample)


def next_tokens(active: Sequence[Sample], logits: torch.Tensor) -> list[int]:
    """Return the next token of each row: the likeliest, or one drawn where asked for.

    Drawing adds Gumbel noise to the warped log-probabilities and takes the maximum, which is
    a draw from that distribution (Gumbel-max; Yellott 1977).
    """
    drawn = [row for row, sample in enumerate(active) if sample.request.temperature > 0]
    best: list[int] = logits.argmax(dim=-1).tolist()
    if not drawn:
        return best
    for part, tokens, logs in warp(logits[drawn], [active[row].request for row in drawn]):
        rows = [drawn[place] for place in part]
        keys, steps = [active[row].key for row in rows], [len(active[row].tokens) for row in rows]
        places = (logs.double() + gumbel(keys, steps, tokens)).argmax(dim=-1, keepdim=True)
        for row, token in zip(rows, tokens.gather(-1, places)[:, 0].tolist(), strict=True):
            best[row] = token
    return best


def warp(
    logits: torch.Tensor, requests: Sequence[Generate]
) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
    """Yield numbers of rows, token ids, and their log-probabilities (rows, tokens).

    They are those under each request's temperature and top_p. Top-p (nucleus sampling, Holtzman et
    al. 2020) keeps the likeliest tokens up to and with the one that makes their sum reach `top_p`;
    the others get -inf, or are left out. What becomes of a row depends on no other row.
    """
    heat = torch.tensor([r.temperature for r in requests], device=logits.device)
    scaled = torch.log_softmax(logits / heat[:, None], dim=-1)
    limits = [r.top_p for r in requests]
    if min(limits) >= 1:
        everything = torch.arange(scaled.shape[-1], device=logits.device).expand_as(scaled)
        yield [*range(len(limits))], everything, scaled
        return
    top_p = torch.tensor(limits, device=logits.device)
    likeliest, ids = scaled.topk(min(NUCLEUS, scaled.shape[-1]), dim=-1)
    narrow = (likeliest.exp().cumsum(dim=-1)[:, -1] >= top_p) & (top_p < 1)
    for few in (True, False):
        rows = (narrow == few).nonzero()[:, 0]
        if rows.numel():
            ordered, tokens = (
                (likeliest[rows], ids[rows]) if few else scaled[rows].sort(dim=-1, descending=True)
            )
            yield rows.tolist(), tokens, _nucleus(ordered, top_p[rows, None])


def _nucleus(ordered: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Return log-probabilities, the largest first, with -inf for those outside the nucleus."""
    before = ordered.exp().cumsum(dim=-1) - ordered.exp()
    dropped = (before >= top_p) & (top_p < 1)
    dropped[:, 0] = False
    return ordered.masked_fill(dropped, -torch.inf)

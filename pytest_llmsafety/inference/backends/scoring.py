"""Loglikelihoods: lines of tokens in, the log-probability of their targets out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pytest_llmsafety.inference.backends.batching import packed
from pytest_llmsafety.inference.backends.prefixes import prefix_tree
from pytest_llmsafety.types import Likelihood

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_llmsafety.inference.backends.batching import Budget
    from pytest_llmsafety.inference.backends.decoder import Decoder
    from pytest_llmsafety.inference.backends.kv_cache import Past
    from pytest_llmsafety.inference.backends.prefixes import Node
    from pytest_llmsafety.inference.backends.tokens import Line

LINES_AT_ONCE = 2048
NOT_FINITE = "NaN or Inf logits"


class Tally:
    """Running sums of each owner's targets, until all of them are known."""

    def __init__(self, lines: Sequence[Line]) -> None:
        """Expect every target of `lines`."""
        self.missing: dict[int, int] = {}
        for line in lines:
            self.missing[line.owner] = self.missing.get(line.owner, 0) + len(line.targets)
        self.n_tokens = dict(self.missing)
        self.logprob = dict.fromkeys(self.missing, 0.0)
        self.greedy = dict.fromkeys(self.missing, True)
        self.broken: set[int] = set()

    def add(self, owner: int, logprob: float, *, first: bool, finite: bool) -> None:
        """Count one target: its log-probability, and whether it was the first choice."""
        self.missing[owner] -= 1
        self.logprob[owner] += logprob
        self.greedy[owner] = self.greedy[owner] and first
        if not finite:
            self.broken.add(owner)

    def finished(self) -> list[tuple[int, Likelihood]]:
        """Return, once each, the owners of which nothing is missing any more."""
        done = [owner for owner, missing in self.missing.items() if not missing]
        for owner in done:
            del self.missing[owner]
        return [(owner, self._likelihood(owner)) for owner in done]

    def _likelihood(self, owner: int) -> Likelihood:
        """Return the answer; no number where a logit was NaN or Inf."""
        count = self.n_tokens[owner]
        if owner in self.broken:
            return Likelihood(None, count, problem=NOT_FINITE)
        return Likelihood(self.logprob[owner], count, is_greedy=self.greedy[owner])


@dataclass(frozen=True)
class Job:
    """A node to compute behind row `row` of a past, with `before` tokens above it.

    `riders` are its leaves that lie in the same row; `follow` are children for a later batch.
    """

    node: Node
    row: int
    before: int
    riders: tuple[Node, ...]
    follow: tuple[Node, ...]

    @property
    def stretches(self) -> tuple[Node, ...]:
        """Return every node in the row, in order."""
        return (self.node, *self.riders)

    @property
    def width(self) -> int:
        """Return the number of new positions in the row."""
        return sum(len(node.tokens) for node in self.stretches)

    def order(self) -> tuple[int, int, bool]:
        """Return what jobs are sorted by: the longest first."""
        return -self.width, -self.before, not self.follow


class LikelihoodReader:
    """Computes log-likelihoods of lines with one decoder under one budget."""

    def __init__(self, decoder: Decoder, budget: Budget) -> None:
        """Use `decoder` for batches that fit `budget`."""
        self.decoder = decoder
        self.budget = budget

    def read(self, lines: Sequence[Line]) -> Iterator[list[tuple[int, Likelihood]]]:
        """Yield, batch by batch, (owner, answer) for every owner of a line, once each.

        Lines that start alike are brought together first; inside a block of LINES_AT_ONCE
        what is computed together is sorted by length, longest first.
        """
        tally = Tally(lines)
        ordered = sorted(lines, key=lambda line: (line.tokens, line.owner))
        for start in range(0, len(ordered), LINES_AT_ONCE):
            block = ordered[start : start + LINES_AT_ONCE]
            roots = prefix_tree(block, share=self.decoder.shares)
            for _ in self._run([self._job(root) for root in roots], None, tally):
                if done := tally.finished():
                    yield done

    def _run(self, nodes: Sequence[Job], past: Past | None, tally: Tally) -> Iterator[None]:
        """Compute nodes that follow rows of `past`, then what follows them; yield every batch."""
        after: list[Past | None] = [None]

        def fits(batch: list[Job]) -> bool:
            return self.budget.fits(
                [job.width for job in batch],
                past=max(job.before for job in batch),
                reads=sum(len(node.reads) for job in batch for node in job.stretches),
            )

        def run(batch: list[Job]) -> None:
            after[0] = self._batch(batch, past, tally)

        for batch in packed(sorted(nodes, key=Job.order), fits, run, self.budget):
            yield
            follow = [
                self._job(child, row, job.before + len(job.node.tokens))
                for row, job in enumerate(batch)
                for child in job.follow
            ]
            if follow:
                yield from self._run(follow, after[0], tally)
            after[0] = None

    def _job(self, node: Node, row: int = 0, before: int = 0) -> Job:
        """Return the job for `node`, which has `before` tokens above it.

        Its leaves become riders in its row when they are short and the model allows it.
        """
        leaves = [child for child in node.children if not child.children]
        length = before + len(node.tokens)
        size = sum(len(leaf.tokens) for leaf in leaves)
        limit = self.decoder.ride_limit
        room = length if limit is None else min(length, limit - length)
        if not self.decoder.rides or size > room:
            return Job(node, row, before, (), tuple(node.children))
        return Job(node, row, before, tuple(leaves), tuple(c for c in node.children if c.children))

    def _batch(self, batch: list[Job], past: Past | None, tally: Tally) -> Past | None:
        reads: list[tuple[int, int]] = []
        wanted: list[tuple[int, int, int]] = []
        for row, job in enumerate(batch):
            start = 0
            for node in job.stretches:
                for at, targets in node.reads.items():
                    wanted += [(len(reads), target, owner) for target, owner in targets]
                    reads.append((row, start + at))
                start += len(node.tokens)
        logits, new_past = self.decoder.forward(
            [job.node.tokens for job in batch],
            reads,
            riders=[[rider.tokens for rider in job.riders] for job in batch],
            past=past.select([job.row for job in batch]) if past is not None else None,
            keep=any(job.follow for job in batch),
        )
        if reads:
            count(logits, wanted, tally)
        return new_past


def count(logits: torch.Tensor, wanted: Sequence[tuple[int, int, int]], tally: Tally) -> None:
    """Add to `tally` the targets read from `logits` (reads, vocabulary).

    `wanted` holds (row of logits, target token, owner).
    """
    rows = torch.tensor([row for row, _, _ in wanted], device=logits.device)
    targets = torch.tensor([target for _, target, _ in wanted], device=logits.device)
    total = torch.logsumexp(logits, dim=-1)
    finite = finite_rows(logits)
    logprob = (logits[rows, targets] - total[rows]).double()
    first = logits.argmax(dim=-1)[rows] == targets
    for (_, _, owner), value, best, good in zip(
        wanted, logprob.tolist(), first.tolist(), finite[rows].tolist(), strict=True
    ):
        tally.add(owner, value, first=best, finite=good)


def finite_rows(logits: torch.Tensor) -> torch.Tensor:
    """Return which rows of logits hold neither NaN nor Inf, bool of shape (rows,).

    Single numbers are looked at only where the sum over all is not finite.
    """
    finite = torch.isfinite(logits.sum(dim=-1))
    return finite if bool(finite.all()) else torch.isfinite(logits).all(dim=-1)

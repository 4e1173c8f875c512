"""The Hugging Face backend: any decoder-only model of transformers, on a GPU or a CPU."""

from __future__ import annotations

import gc
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import torch

from pytest_llmsafety.compressors.record.dense_facts import DenseFacts
from pytest_llmsafety.errors import CacheError
from pytest_llmsafety.inference.backends.base import Backend, BackendSettings
from pytest_llmsafety.inference.backends.batching import (
    CPU_PADDING,
    CPU_TOKENS,
    GPU_PADDING,
    GPU_TOKENS,
    Budget,
    packed,
)
from pytest_llmsafety.inference.backends.capabilities import check_causal
from pytest_llmsafety.inference.backends.chat import ChatFormat, ChatFormats
from pytest_llmsafety.inference.backends.decoder import Decoder
from pytest_llmsafety.inference.backends.detokenize import Prompt, end_tokens, stop_finder
from pytest_llmsafety.inference.backends.distributions import DistributionReader, Document
from pytest_llmsafety.inference.backends.generation import Generator
from pytest_llmsafety.inference.backends.memory import fits
from pytest_llmsafety.inference.backends.scoring import LikelihoodReader
from pytest_llmsafety.inference.backends.tokens import (
    LONGEST_WINDOW,
    Line,
    check_rows,
    context_window,
    document_lines,
    encode,
    encode_pairs,
    pair_line,
    start_token,
)
from pytest_llmsafety.models.deployment import Deployment
from pytest_llmsafety.models.device import resolve
from pytest_llmsafety.models.load import load_model
from pytest_llmsafety.models.locate import locate
from pytest_llmsafety.models.tokenizer import load_tokenizer, rules_of
from pytest_llmsafety.types import Generate, Generation, Likelihood, Loglikelihood, NextTokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.models.tokenizer import Parts
    from pytest_llmsafety.specs import Arm, CompressionSpec
    from pytest_llmsafety.types import Request, Response

Batch = list[tuple[int, "Response"]]


class HuggingFaceBackend(Backend):
    """One arm as a loaded transformers model.

    A document (a Loglikelihood without context) that is longer than `window` tokens is scored in
    windows of that length, each half a window further. `window` is the longest text that the model
    can read, at most 2048 tokens.
    """

    _check_tokenizer: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, arm: Arm, settings: BackendSettings | None = None) -> None:
        """Load the arm's model, and compress it if the arm says so.

        Raises ModelError or CompressionError.
        """
        settings = settings or BackendSettings()
        given = arm.compression.steps[0].model if settings.dense and arm.compression else None
        folder = locate(given or arm.model)
        dtype, device = resolve(arm.model)
        tokenizer = load_tokenizer(folder)
        model = load_model(folder, dtype=dtype, device=device)
        record = None
        if settings.dense:
            self._check_tokenizer = partial(
                settings.dense.check, tokenizer, arm.name, served=settings.served is not None
            )
        ends = end_tokens(model, tokenizer)  # before a checkpoint takes the dense model's place
        if arm.compression is not None:
            record = _compressed(model, arm.compression, tokenizer, settings)
        self._ready(model, tokenizer, settings)
        self._formats = ChatFormats(tokenizer, ends, settings.served, arm.checkpoint)
        check_causal(self.decoder, compressed=arm.compression is not None)
        self.record: CompressionRecord | None = record

    @classmethod
    def of(
        cls,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        settings: BackendSettings | None = None,
        *,
        padding: str = "right",
    ) -> HuggingFaceBackend:
        """Return a backend for a model that is loaded already; `padding` is for checks."""
        backend = cls.__new__(cls)
        backend._ready(model, tokenizer, settings or BackendSettings(), padding)  # noqa: SLF001 - a constructor
        backend.record = None
        return backend

    def _ready(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        settings: BackendSettings,
        padding: str = "right",
    ) -> None:
        self.tokenizer = tokenizer
        self.decoder = Decoder(model, padding=padding)
        self.window = context_window(model.config, tokenizer)
        on_cpu = model.device.type == "cpu"
        tokens = settings.batch_tokens or (CPU_TOKENS if on_cpu else GPU_TOKENS)
        self.budget = Budget(
            int(tokens * settings.batch_share),
            self.decoder.vocabulary,
            padding=CPU_PADDING if on_cpu else GPU_PADDING,
            note=settings.note,
        )
        self.rows = self.decoder.rows
        self._formats = ChatFormats(tokenizer, end_tokens(model, tokenizer))
        if not self.decoder.shares:
            settings.note(
                f"{type(model).__name__} keeps no keys and values that batches can share: whole "
                "texts are computed each time, which is slower"
            )

    def answer(self, requests: Sequence[Request]) -> Iterator[Batch]:
        """Answer every request once: loglikelihoods, distributions, then texts, in batches.

        Raises BaselineError in a baseline run, where a request has to be read in the dense model's
        tokens and this checkpoint has other ones.
        """
        if not all(isinstance(one, Generate) and one.as_deployed for one in requests):
            self._check_tokenizer()
        likelihoods = [(i, r) for i, r in enumerate(requests) if isinstance(r, Loglikelihood)]
        distributions = [(i, r) for i, r in enumerate(requests) if isinstance(r, NextTokens)]
        texts = [(i, r) for i, r in enumerate(requests) if isinstance(r, Generate)]
        if likelihoods:
            yield from self._likelihoods(likelihoods)
        if distributions:
            reader = DistributionReader(self.decoder, self.budget)
            for batch in reader.read(self._documents(distributions)):
                yield [*batch]
        if texts:
            yield from self._texts(texts)

    def close(self) -> None:
        """Free the model; the backend cannot answer any more."""
        del self.decoder
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def facts(self) -> DenseFacts:
        """Return what a baseline remembers of the weights and the tokenizer."""
        return DenseFacts.of(self.decoder.model, self.tokenizer)

    @staticmethod
    def tokens(folder: Path | None, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """Return the token ids of each text; loads the tokenizer, not the model."""
        assert folder is not None  # noqa: S101 - this backend reads a folder
        return [tuple(ids) for ids in encode(load_tokenizer(folder), texts)]

    @staticmethod
    def tokenizer_rules(folder: Path) -> Parts:
        """Return what decides about tokens, part by part; loads the tokenizer, not the model."""
        return rules_of(load_tokenizer(folder))

    @staticmethod
    def deployment(folder: Path | None) -> Deployment | None:
        """Return how a folder would be served; reads its tokenizer and settings, no weights."""
        return Deployment.of(folder) if folder else None

    @staticmethod
    def gguf_deployment(path: Path, dense: Deployment) -> Deployment:
        """Return how a GGUF file would be served; what it does not say is the dense model's."""
        return Deployment.of_gguf(path, dense)

    @staticmethod
    def fits(arm: Arm) -> bool:
        """Return whether the arm can be loaded next to the models that are in memory now."""
        return fits(arm)

    @property
    def forward_passes(self) -> int:
        """Return the number of forward passes so far."""
        return self.decoder.forward_passes

    def _likelihoods(self, indexed: list[tuple[int, Loglikelihood]]) -> Iterator[Batch]:
        lines: list[Line] = []
        cuts: dict[int, int] = {}
        refused: Batch = []
        pairs = encode_pairs(self.tokenizer, [request for _, request in indexed])
        check_rows(self.tokenizer, [one for pair in pairs for one in pair], self.rows)
        document_window = min(self.window, LONGEST_WINDOW)
        for (index, request), (context, continuation) in zip(indexed, pairs, strict=True):
            count = len(continuation)
            if not continuation:
                problem = "the continuation has no tokens of its own"
                refused.append((index, Likelihood(None, 0, problem=problem)))
            elif not request.context:
                lines += document_lines(
                    context[0],
                    continuation,
                    window=document_window,
                    stride=max(1, document_window // 2),
                    owner=index,
                )
            elif count > self.window:
                problem = f"{count} tokens do not fit into the model's window of {self.window}"
                refused.append((index, Likelihood(None, count, problem=problem)))
            else:
                line, cuts[index] = pair_line(context, continuation, self.window, index)
                lines.append(line)
        if refused:
            yield refused
        for batch in LikelihoodReader(self.decoder, self.budget).read(lines):
            yield [(index, replace(a, tokens_cut=cuts.get(index, 0))) for index, a in batch]

    def _documents(self, indexed: list[tuple[int, NextTokens]]) -> list[Document]:
        """Return the first tokens of each text, after the start token."""
        texts = [Loglikelihood("", request.text) for _, request in indexed]
        pairs = encode_pairs(self.tokenizer, texts)
        check_rows(self.tokenizer, [one for pair in pairs for one in pair], self.rows)
        return [
            Document.of([*start, *ids], index, request, self.window)
            for (index, request), (start, ids) in zip(indexed, pairs, strict=True)
        ]

    def _texts(self, indexed: list[tuple[int, Generate]]) -> Iterator[Batch]:
        """Yield the answers to requests for text; all samples of one request are in one batch."""
        for own in (False, True):
            part = [(i, request) for i, request in indexed if request.as_deployed == own]
            if part:
                chat = any(request.chat for _, request in part)
                choose = self._formats.own if own else self._formats.dense
                chat_format = choose(chat=chat)
                yield from self._generate(chat_format, part)

    def _generate(
        self, chat_format: ChatFormat, indexed: list[tuple[int, Generate]]
    ) -> Iterator[Batch]:
        groups, refused = self._prompts(chat_format, indexed)
        if refused:
            yield refused
        generator = Generator(
            self.decoder,
            self.budget,
            ends=chat_format.ends,
            stopped=stop_finder(chat_format.tokenizer),
        )

        def fits_in_one(batch: list[Prompt]) -> bool:
            rows = sum(len(prompt.samples) for prompt in batch)
            return self.budget.fits_text(rows, max(prompt.width for prompt in batch))

        def run(batch: list[Prompt]) -> None:
            generator.run([sample for prompt in batch for sample in prompt.samples])

        for batch in packed(groups, fits_in_one, run, self.budget):
            yield [(prompt.owner, prompt.answer(chat_format.tokenizer)) for prompt in batch]

    def _prompts(
        self, chat_format: ChatFormat, indexed: list[tuple[int, Generate]]
    ) -> tuple[list[Prompt], Batch]:
        """Return the prompts to continue, longest first, and the answers to those too long.

        A conversation is never cut: its beginning (start token, system prompt) would go first.
        """
        prompts: list[Prompt] = []
        refused: Batch = []
        read = chat_format.rendered([request for _, request in indexed])
        check_rows(chat_format.tokenizer, [one.ids for one in read], self.rows)
        for (index, request), one in zip(indexed, read, strict=True):
            room = self.window - request.max_new_tokens
            whole = one.ids or [start_token(chat_format.tokenizer)]
            cut = max(0, len(whole) - room)
            if room < 1:
                problem = (
                    f"{request.max_new_tokens} new tokens leave no room for a prompt in the "
                    f"model's window of {self.window}"
                )
            elif cut and request.chat:
                problem = (
                    f"a conversation of {len(whole)} tokens and {request.max_new_tokens} new ones "
                    f"do not fit into the model's window of {self.window}"
                )
            else:
                stopped = chat_format.stopped(request)
                prompts.append(Prompt(index, stopped, whole[cut:], cut, one.opens))
                continue
            refused.append((index, Generation((), problem=problem)))
        return sorted(prompts, key=lambda prompt: (-prompt.width, prompt.ids)), refused


def _compressed(
    model: PreTrainedModel,
    spec: CompressionSpec,
    tokenizer: PreTrainedTokenizerBase,
    settings: BackendSettings,
) -> CompressionRecord:
    """Compress `model`, or load the weights that an earlier run stored."""
    from pytest_llmsafety.compressors import compress

    found = settings.stored.load(model) if settings.stored else None
    if found is not None:
        return found
    record = compress(
        model,
        spec,
        tokenizer=tokenizer,
        calibration=settings.calibration,
        seed=settings.seed,
        progress=settings.progress,
        dense=settings.dense,
    )
    try:
        small = settings.stored is None or settings.stored.save(model, record)
        why = "" if small else "it is larger than --llmsafety-store allows"
    except CacheError as error:
        why = str(error)
    if why:
        settings.note(f"{spec} was not stored, so the next run compresses it again: {why}")
    return record

"""Decoder: a decoder-only model as one function, from tokens and a past to chosen logits."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache

from pytest_llmsafety.compressors.runtime import CACHE_NAMES, cache_name, exact
from pytest_llmsafety.inference.backends.capabilities import (
    can_ride,
    can_share,
    window_of_attention,
)
from pytest_llmsafety.inference.backends.kv_cache import Past
from pytest_llmsafety.inference.backends.layout import Layout
from pytest_llmsafety.inference.backends.precision import widen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transformers import PreTrainedModel


class Decoder:
    """A loaded model that answers for batches of token sequences of any length.

    Rows are padded on the right, where a causal model cannot see it; with `padding="left"`
    the first batch of a sequence is padded on the left and masked, which gives the same
    numbers and exists to check them. Columns of a past that belong to no token are masked.

    `shares` says whether keys and values can be handed from one batch to the next, and `rides`
    whether several endings can lie behind their beginning in one row, hidden from each other
    (in texts of at most `ride_limit` tokens: a layer with sliding attention takes no such
    mask). Both are tried once, on a few tokens, so a model of another kind (state-space,
    hybrid, ALiBi) is run in a plainer way: slower, and right.

    A model that brings its own cache (an attribute `llmsafety_cache`, a function without
    arguments that returns one whose layers are DynamicLayers) always answers from it, so that
    scoring sees what generation sees.

    A model that rounds inputs or cache while it runs (compressors/runtime.py) is computed in
    float64 where it can be: see backends/precision.py.
    """

    def __init__(self, model: PreTrainedModel, *, padding: str = "right") -> None:
        """Wrap `model` for evaluation, and try what it allows."""
        self.model = model
        widen(model)
        model.train(mode=False)
        self.padding = padding
        self.device = model.device
        self.vocabulary = int(model.config.get_text_config().vocab_size)
        self.rows = _rows(model, self.vocabulary)
        self.head: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]
        self.fresh_cache = getattr(model, "llmsafety_cache", None)
        self.takes_positions = "position_ids" in inspect.signature(model.forward).parameters
        self.cache_name = cache_name(model) or CACHE_NAMES[0]
        self.forward_passes = 0
        with exact(model):  # rounding would make too much of noise
            self.shares = can_share(self)
            self.rides = self.shares and self.takes_positions and can_ride(self)
        self.ride_limit = window_of_attention(model.config)

    @torch.inference_mode()
    def forward(
        self,
        tokens: Sequence[Sequence[int]],
        reads: Sequence[tuple[int, int]],
        *,
        riders: Sequence[Sequence[Sequence[int]]] | None = None,
        past: Past | None = None,
        keep: bool = False,
    ) -> tuple[torch.Tensor, Past | None]:
        """Run the model over `tokens`, which follow `past` row by row.

        `riders[r]` are endings that each follow `tokens[r]` and do not see one another; they
        lie behind it in row r. Returns float32 logits of shape (len(reads), vocabulary), one
        row for each (row, position in tokens[r] and its riders), and, when `keep`, the past
        of `tokens` (not of the riders). Every row of a given `past` must end in its last
        column, as `Past.select` makes it.
        """
        self.forward_passes += 1
        layout = Layout(tokens, riders, past=past, left=self.padding == "left")
        cached = past is not None or keep or self.fresh_cache is not None
        extra: dict[str, Any] = {}
        if cached:
            fresh = self.fresh_cache or DynamicCache
            extra[self.cache_name] = past.cache if past is not None else fresh()
        if self.takes_positions:
            extra["position_ids"] = layout.positions().to(self.device)
        if riders is not None and any(riders):
            extra["attention_mask"] = layout.tree_mask(self.model.dtype).to(self.device)
        elif layout.hides or not self.takes_positions:
            extra["attention_mask"] = layout.mask().to(self.device)
        where = [(row, layout.offsets[row] + position) for row, position in reads]
        with self._reading(where):
            inputs = layout.inputs().to(self.device)
            out = self.model(input_ids=inputs, use_cache=cached, **extra)
        logits = self._read(out.logits, where)
        return logits, Past(out[self.cache_name], *layout.after()) if keep else None

    @contextmanager
    def _reading(self, where: Sequence[tuple[int, int]]) -> Iterator[None]:
        """Let the output layer see the read positions only: (1, reads, hidden)."""
        if self.head is None:
            yield
            return
        index = torch.tensor(where or [(0, 0)], device=self.device)
        rows, columns = index[:, 0], index[:, 1]

        def pick(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[Any, ...]:
            """Replace hidden states of shape (rows, width, hidden) by those that are read."""
            return (inputs[0][rows, columns][None], *inputs[1:])

        handle = self.head.register_forward_pre_hook(pick)
        try:
            yield
        finally:
            handle.remove()

    def _read(self, logits: torch.Tensor, where: Sequence[tuple[int, int]]) -> torch.Tensor:
        """Return logits of shape (reads, vocabulary) in float32."""
        if self.head is not None:
            return logits[0, : len(where)].float()
        return logits[[row for row, _ in where], [column for _, column in where]].float()


def _rows(model: PreTrainedModel, vocabulary: int) -> int:
    """Return the number of tokens that the embedding has a row for, else `vocabulary`."""
    try:
        embedding: Any = model.get_input_embeddings()
    except NotImplementedError:
        return vocabulary
    weight = getattr(embedding, "weight", None)
    said = getattr(embedding, "num_embeddings", None)
    return int(said or (weight.shape[0] if weight is not None else vocabulary))

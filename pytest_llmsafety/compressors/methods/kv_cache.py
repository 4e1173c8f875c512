"""The rounded cache of `kv`: a hook on the model, and cache layers that round."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from pytest_llmsafety.compressors.runtime import CACHE_NAMES, cache_name, widened
from pytest_llmsafety.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass
class RoundedCache:
    """A forward pre-hook with arguments that gives the model a cache that rounds.

    `channels` is the size of a group along a token's channels (None: the head). `tokens` is the
    size of a key's group along the text (0: keys are rounded like values). `residual` is the number
    of tokens in a block. `widths` notes the channels of keys and values of each layer seen.
    """

    bits: int
    channels: int | None
    tokens: int
    residual: int
    on: bool = True
    places: Places | None = None
    widths: dict[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def by_channel(self) -> bool:
        """Return whether keys are rounded in each channel over groups of tokens."""
        return self.tokens > 0

    def group_of(self, width: int) -> int:
        """Return the size of a group along `width` channels."""
        size = self.channels or (self.tokens if self.by_channel else width)
        return width if width % size else size

    def __call__(
        self, model: PreTrainedModel, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of the model's forward with a rounded cache (kivi: and mask)."""
        given = [kwargs[name] for name in CACHE_NAMES if kwargs.get(name) is not None]
        kwargs = {name: value for name, value in kwargs.items() if name not in CACHE_NAMES}
        cache = self._cache(given[0] if given else None)
        if self.by_channel:
            self._place(model, args, kwargs, old=cache.get_seq_length())
        return args, {**kwargs, str(cache_name(model)): cache, "use_cache": True}

    def _cache(self, given: Any) -> Any:  # noqa: ANN401 - any cache of transformers
        """Return `given` if it is ours, made ours if it is empty, and a new cache for None."""
        cache: Any = DynamicCache() if given is None else given
        if getattr(cache, "rounding", None) is self:
            return cache
        used = any(getattr(layer, "is_initialized", True) for layer in cache.layers)
        if used or not (given is None or isinstance(given, DynamicCache)):
            message = (
                f"the model rounds its keys and values, and was called with a filled "
                f"{type(cache).__name__}. Expected none, an empty DynamicCache, or its own."
            )
            raise ModelError(message)
        cache.layers = []
        cache.layer_class_to_replicate = partial(_layer, self, cache)
        cache.rounding = self
        return cache

    def _place(
        self, model: PreTrainedModel, args: tuple[Any, ...], kwargs: dict[str, Any], *, old: int
    ) -> None:
        """Find the position of each column, `old` of them in the cache, and set the mask."""
        given = kwargs.get("input_ids", kwargs.get("inputs_embeds"))
        inputs: Any = args[0] if args else given
        mask = kwargs.get("attention_mask")
        rows, width = inputs.shape[:2]
        if mask is None:
            mask = torch.ones(rows, old + width, dtype=torch.long, device=inputs.device)
        if len(args) > 1 or tuple(mask.shape) != (rows, old + width):
            message = (
                f"kivi cannot read an attention mask of shape {tuple(mask.shape)}. Expected "
                f"{(rows, old + width)}: which columns hold a token, given by name."
            )
            raise ModelError(message)
        self.places = Places.of(mask.to(inputs.device), self.tokens, self.residual)
        kwargs["attention_mask"] = self.places.mask(width, model.dtype)
        takes_positions = "position_ids" in inspect.signature(model.forward).parameters
        if takes_positions and kwargs.get("position_ids") is None:
            kwargs["position_ids"] = self.places.positions[:, -width:]

    def along_channels(self, states: torch.Tensor) -> torch.Tensor:
        """Return keys or values (rows, heads, tokens, channels), rounded token by token."""
        if not self.on:
            return states
        groups = states.reshape(*states.shape[:-1], -1, self.group_of(states.shape[-1]))
        return affine(groups, self.bits, dim=-1).flatten(-2)

    def along_tokens(self, keys: torch.Tensor) -> torch.Tensor:
        """Return keys (rows, heads, columns, channels), rounded by channel in groups of tokens."""
        assert self.places is not None  # noqa: S101 - the hook runs before any layer
        if not self.on:
            return keys
        lined = torch.take_along_dim(keys, self.places.columns[:, None, :, None], dim=2)
        groups = lined.reshape(*keys.shape[:2], -1, self.tokens, keys.shape[-1])
        rounded = affine(groups, self.bits, dim=3).flatten(2, 3)
        return torch.take_along_dim(rounded, self.places.positions[:, None, :, None], dim=2)


class TokenLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """A cache layer that keeps rounded states, token by token."""

    def __init__(self, rounding: RoundedCache, index: int) -> None:
        """Make layer number `index` of a cache."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.rounding = rounding
        self.index = index

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        *_args: Any,  # noqa: ANN401 - whatever a model adds
        **_kwargs: Any,  # noqa: ANN401 - as above
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add the rounded states, and return all that is kept."""
        rounding = self.rounding
        rounding.widths[self.index] = (key_states.shape[-1], value_states.shape[-1])
        return super().update(
            rounding.along_channels(key_states), rounding.along_channels(value_states)
        )


class ChannelLayer(TokenLayer):  # type: ignore[no-untyped-call]
    """A cache layer that keeps states as they are, and returns them twice, rounded first."""

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        *_args: Any,  # noqa: ANN401 - whatever a model adds
        **_kwargs: Any,  # noqa: ANN401 - as above
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add the states, and return both; the mask decides which token reads which."""
        rounding = self.rounding
        rounding.widths[self.index] = (key_states.shape[-1], value_states.shape[-1])
        keys, values = DynamicLayer.update(self, key_states, value_states)
        both = torch.cat([rounding.along_tokens(keys), keys], dim=2)
        return both, torch.cat([rounding.along_channels(values), values], dim=2)


@dataclass(frozen=True)
class Places:
    """The tokens of each row: their columns in the cache, and their positions in their text.

    `held` (rows, columns) says which columns hold a token. `positions` (rows, columns) gives each
    one's place in its text. `columns` (rows, places, a multiple of the group) maps places back to
    columns.
    """

    held: torch.Tensor
    positions: torch.Tensor
    columns: torch.Tensor
    residual: int

    @classmethod
    def of(cls, mask: torch.Tensor, tokens: int, residual: int) -> Places:
        """Read the places from a mask (rows, columns) of ones and zeros."""
        held = mask.bool()
        positions = (mask.long().cumsum(1) - 1).clamp(min=0)
        rows, width = mask.shape
        room = width + -width % tokens
        back = torch.zeros(rows, room + 1, dtype=torch.long, device=mask.device)
        numbers = torch.arange(width, device=mask.device).expand(rows, -1)
        back.scatter_(1, positions.masked_fill(~held, room), numbers)
        return cls(held, positions, back[:, :room], residual)

    def mask(self, width: int, dtype: torch.dtype) -> torch.Tensor:
        """Return what is added to attention scores: (rows, 1, width, 2 * columns), 0 or lowest.

        The last `width` columns are the queries. The first half holds the rounded keys, of which
        those of earlier blocks are read. The second half holds the keys as they are, for a token's
        own block.
        """
        asking = self.positions[:, -width:, None]
        seen = self.held[:, None, :] & (self.positions[:, None, :] <= asking)
        own = self.positions[:, None, :] // self.residual == asking // self.residual
        both = torch.cat([seen & ~own, seen & own], dim=2)[:, None]
        lowest = max(torch.finfo(dtype).min, torch.finfo(torch.float32).min)
        return torch.zeros(both.shape, dtype=dtype, device=both.device).masked_fill(~both, lowest)


def affine(states: torch.Tensor, bits: int, *, dim: int) -> torch.Tensor:
    """Return `states` on 2^bits even steps from the smallest to the largest along `dim`."""
    wide = widened(states)
    low, high = wide.amin(dim, keepdim=True), wide.amax(dim, keepdim=True)
    scale = (high - low) / (2**bits - 1)
    scale = torch.where(scale == 0, 1, scale)
    return (((wide - low) / scale).round() * scale + low).to(states.dtype)


def _layer(rounding: RoundedCache, cache: Any) -> TokenLayer:  # noqa: ANN401 - a cache
    kind = ChannelLayer if rounding.by_channel else TokenLayer
    return kind(rounding, len(cache.layers))

"""`kv:int4`: round keys and values when they are written into the cache.

Every token reads the rounded keys and values, its own included. So rounding depends on a token and
the tokens before it alone: one pass, decoding token by token, and batches of any kind see the
same cache.

With `kivi` (after Liu et al., 2024) keys are rounded in each channel over a group of
neighbouring tokens, which is known only when the last of them is written. Positions are cut
into blocks of `residual` tokens. A token reads keys and values of its own block as they are,
and those of every finished block rounded. That, too, depends on positions alone. KIVI's own
code rounds no key of a prompt before the prompt is read; here prompts and texts are alike.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_llmsafety.compressors.base import Compressor
from pytest_llmsafety.compressors.calibration import window_of
from pytest_llmsafety.compressors.parameters import Key, Parameters, Values, read
from pytest_llmsafety.compressors.runtime import (
    cache_name,
    exact,
    record_of_rounding,
    roundings,
    trial,
)
from pytest_llmsafety.errors import ConfigurationError, GroupSizeError, UnsupportedModelError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.base import Context
    from pytest_llmsafety.compressors.methods.kv_cache import RoundedCache
    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.specs import Step

BITS = {"int8": 8, "int4": 4, "int2": 2}
GROUP = 32  # of the paper's experiments
SCALE_BITS = 32  # a scale and a smallest value in 16 bits each
TRIAL = 8
WINDOWS = ("sliding_window", "window_size", "attention_window_size", "attention_chunk_size")


class KeyValueCache(Compressor):
    """Rounds keys and values to 8, 4 or 2 bits, between the extremes of a group.

    A group is the channels of one token in one head, or `g32` of them. With `kivi` a key's
    group is one channel of 32 tokens (or `g` of them).
    """

    parameters = Parameters(
        example="kv:int4",
        choices=tuple((name, f"{bits} bits") for name, bits in BITS.items()),
        group=True,
        flags=(("kivi", "keys by channel over groups of tokens, the newest tokens as they are"),),
        keys=(Key("residual", "tokens of a block, with kivi; as many as a group", "whole", low=2),),
    )

    def check(self, step: Step) -> None:
        """Refuse `residual=` without kivi, and blocks that are not filled by groups of tokens."""
        values = read(step, self.parameters)
        residual = values.key("residual")
        if residual is None:
            return
        group = values.group_size or GROUP
        if "kivi" not in values.flags:
            message = f"'{step}': residual= needs kivi. Write {step}:kivi."
            raise ConfigurationError(message)
        if int(residual) % group:
            message = (
                f"'{step}': blocks of {residual} tokens do not consist of groups of {group}. "
                f"Expected a multiple, such as residual={4 * group}."
            )
            raise ConfigurationError(message)

    def compress(
        self,
        model: PreTrainedModel,
        step: Step,
        context: Context,  # noqa: ARG002 - ranges are found while the model runs
    ) -> CompressionRecord:
        """Hook the model, so that every call uses a rounded cache, and return the record."""
        import torch

        from pytest_llmsafety.compressors.methods.kv_cache import RoundedCache

        values = read(step, self.parameters)
        kivi = "kivi" in values.flags
        tokens = (values.group_size or GROUP) if kivi else 0
        residual = int(values.number("residual", tokens))
        rounding = RoundedCache(BITS[values.choice], values.group_size, tokens, residual)
        refuse(model, kivi=kivi)
        length = min(residual + TRIAL, window_of(model))
        dense = with_cache(model, length)
        handle = model.register_forward_pre_hook(rounding, with_kwargs=True)
        roundings(model).append(rounding)
        try:
            widths = tried(model, rounding, dense)
        except Exception:
            handle.remove()
            roundings(model).remove(rounding)
            raise
        changed = not torch.equal(with_cache(model, length), dense)
        return _record(model, step, values, rounding, widths if changed else {})


def refuse(model: PreTrainedModel, *, kivi: bool) -> None:
    """Raise UnsupportedModelError for a model without such a cache, or with a window for kivi."""
    kind = type(model).__name__
    if model.config.is_encoder_decoder or cache_name(model) is None:
        message = f"{kind} keeps no keys and values. Expected a decoder-only attention model."
        raise UnsupportedModelError(message)
    config = model.config.get_text_config()
    sizes = [getattr(config, name, None) for name in WINDOWS]
    if kivi and any(isinstance(size, int) and 0 < size < window_of(model) for size in sizes):
        message = (
            f"{kind} has layers with local attention, whose mask kivi would replace. Leave kivi "
            "out: keys and values are then rounded token by token."
        )
        raise UnsupportedModelError(message)


def with_cache(model: PreTrainedModel, length: int) -> torch.Tensor:
    """Return the logits [length, vocabulary] of a text that the model reads with a cache.

    Raises UnsupportedModelError for a model that does not run with one.
    """
    try:
        return trial(model, length, cached=True)
    except Exception as error:
        message = (
            f"{type(model).__name__} does not run with a cache that holds keys and values of "
            f"every layer and nothing else ({type(error).__name__}: {error}). Expected attention "
            "in every layer: leave kv out."
        )
        raise UnsupportedModelError(message) from error


def tried(
    model: PreTrainedModel, rounding: RoundedCache, dense: torch.Tensor
) -> dict[int, tuple[int, int]]:
    """Return by layer the channels of key and value whose cache the model writes.

    `dense` are its logits without rounding. Raises GroupSizeError when a group does not divide the
    channels, and UnsupportedModelError when this cache changes the logits though nothing is
    rounded.
    """
    import torch

    kind = type(model).__name__
    with exact(model):
        plain = with_cache(model, len(dense))
    loose = 1e-3 if dense.dtype in {torch.float32, torch.float64} else 0.1
    if float((plain - dense).abs().max()) > loose * float(dense.std()):
        message = (
            f"{kind} gives other logits with a cache of this kind, though nothing is rounded in "
            "it. Expected attention that reads keys and values through the cache and its mask."
        )
        raise UnsupportedModelError(message)
    found = dict(rounding.widths)
    if not found:
        message = f"{kind} wrote nothing into its cache. Expected attention layers."
        raise UnsupportedModelError(message)
    group = rounding.channels
    odd = [width for pair in found.values() for width in pair if group and width % group]
    if odd and not rounding.by_channel:
        common = math.gcd(*(width for pair in found.values() for width in pair))
        fit = [f"g{size}" for size in range(common, 1, -1) if common % size == 0]
        message = (
            f"the group size {group} does not divide the {odd[0]} channels of a head, so nothing "
            f"was changed. Expected {' or '.join(fit[:4])}, or none: one scale a token and head."
        )
        raise GroupSizeError(message)
    return found


def _record(
    model: PreTrainedModel,
    step: Step,
    values: Values,
    rounding: RoundedCache,
    widths: dict[int, tuple[int, int]],
) -> CompressionRecord:
    groups = [
        (rounding.tokens or rounding.group_of(key), rounding.group_of(value))
        for key, value in widths.values()
    ]
    shares = [1 / number for pair in groups for number in pair]
    bits = rounding.bits + SCALE_BITS * sum(shares) / max(1, len(shares))
    note = f"{step}: keys and values are read in {values.choice} ({bits:.3g} bits with scales)"
    if rounding.by_channel:
        note += (
            f", the up to {rounding.residual} of a token's own block as they are, so texts of up "
            f"to {rounding.residual} tokens are answered as by the dense model"
        )
        odd = sorted({value for _, value in widths.values() if rounding.group_of(value) == value})
        if odd and odd[0] != rounding.tokens:
            note += f", a value's group being the {odd[0]} channels of a head"
    record = record_of_rounding(
        model, step, note, changed=tuple(f"cache.{index}" for index in widths)
    )
    return replace(record, parameters=values.rows(), cache_bits=bits)

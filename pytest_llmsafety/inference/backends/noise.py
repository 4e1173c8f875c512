"""Gumbel noise keyed by (seed, item, sample, step, token): the same in every batch and arm."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed 64-bit number
MIX_1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
MIX_2 = -7723592293110705685  # 0x94D049BB133111EB


def row_key(seed: int, item: str, sample: int) -> int:
    """Return a signed 64-bit key that stands for one sample of one item in one run."""
    text = f"{seed}|{sample}|{item}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big", signed=True)


def gumbel(keys: Sequence[int], steps: Sequence[int], tokens: torch.Tensor) -> torch.Tensor:
    """Return standard Gumbel noise, float64, of shape (rows, n) for token ids (rows, n) or (n,).

    Row r depends on `keys[r]`, `steps[r]` and the token id alone: the counter-based generator
    SplitMix64 (Steele, Lea and Flood 2014) is evaluated at the token id, with a state mixed
    from key and step. Integers wrap alike on CPU and GPU.
    """
    key = torch.tensor(list(keys), dtype=torch.int64, device=tokens.device)
    step = torch.tensor(list(steps), dtype=torch.int64, device=tokens.device)
    state = _mix(key + (step + 1) * GOLDEN)
    bits = _mix(state[:, None] + (tokens + 1) * GOLDEN)
    uniform = (_shift(bits, 12).double() + 0.5) * 2.0**-52
    return -torch.log(-torch.log(uniform))


def _mix(value: torch.Tensor) -> torch.Tensor:
    value = (value ^ _shift(value, 30)) * MIX_1
    value = (value ^ _shift(value, 27)) * MIX_2
    return value ^ _shift(value, 31)


def _shift(value: torch.Tensor, bits: int) -> torch.Tensor:
    return (value >> bits) & ((1 << (64 - bits)) - 1)

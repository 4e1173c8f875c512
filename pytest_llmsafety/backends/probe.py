"""What a model allows: tried on a few tokens, since its architecture does not tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from pytest_llmsafety.backends.decoder import Decoder

TEXTS = ((3, 5, 7, 4, 6, 8, 9, 3), (3, 5, 7, 4, 11), (3, 5, 7, 4, 6, 10))
SHARED = 3
WINDOWS = ("sliding_window", "window_size", "attention_window_size", "local_attention")


def can_share(decoder: Decoder) -> bool:
    """Whether logits after a shared, reordered and re-aligned past equal those without one.

    Attention in chunks counts columns from the start of the row, which padding would move.
    """
    config = decoder.model.config.get_text_config()
    if getattr(config, "attention_chunk_size", None):
        return False
    texts = _texts(decoder)
    try:
        whole, _ = decoder.forward(texts, [(row, len(ids) - 1) for row, ids in enumerate(texts)])
        _, past = decoder.forward([texts[0][:SHARED]], [], keep=True)
        assert past is not None  # noqa: S101 - for the type checker: `keep` was asked for
        middle = [ids[SHARED:-1] for ids in texts]
        _, past = decoder.forward(middle, [], past=past.select([0, 0, 0]), keep=True)
        assert past is not None  # noqa: S101 - as above
        order = [2, 0, 1]
        last = [texts[row][-1:] for row in order]
        reads = [(row, 0) for row in range(len(last))]
        shared, _ = decoder.forward(last, reads, past=past.select(order))
    except Warning:  # made an error by the user; to take it for a model's would hide it
        raise
    except Exception:  # noqa: BLE001 - whatever goes wrong, this model has no such past
        return False
    return _equal(decoder, whole[order], shared)


def can_ride(decoder: Decoder) -> bool:
    """Whether endings in one row, under a mask of four dimensions, see only what they should."""
    texts = _texts(decoder)
    trunk, riders = texts[0][:SHARED], [ids[SHARED:] for ids in texts]
    ends = [SHARED + sum(map(len, riders[: number + 1])) - 1 for number in range(len(riders))]
    try:
        whole, _ = decoder.forward(texts, [(row, len(ids) - 1) for row, ids in enumerate(texts)])
        together, _ = decoder.forward(
            [trunk, trunk[:1]], [(0, end) for end in ends], riders=[riders, [riders[0]]]
        )
    except Warning:  # as above
        raise
    except Exception:  # noqa: BLE001 - whatever goes wrong, this model takes no such mask
        return False
    return _equal(decoder, whole, together)


def window_of_attention(config: Any) -> int | None:  # noqa: ANN401 - any model's configuration
    """Return how far the layers with local attention see, in tokens; None when all see all."""
    config = config.get_text_config()
    found = [getattr(config, name, None) for name in WINDOWS]
    return min((size for size in found if isinstance(size, int) and size > 0), default=None)


def _texts(decoder: Decoder) -> list[list[int]]:
    """Return the probe's texts as tokens of the model's vocabulary."""
    return [[token % decoder.vocabulary for token in text] for text in TEXTS]


def _equal(decoder: Decoder, one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two sets of logits agree to rounding; a model that is broken anyway may pass."""
    if not bool(torch.isfinite(one).all()):
        return True
    tolerance = 1e-3 if decoder.model.dtype in {torch.float32, torch.float64} else 0.1
    return bool((one - other).abs().max() <= tolerance * one.std().clamp(min=1e-3))

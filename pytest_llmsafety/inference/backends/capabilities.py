"""What a model can do, tried on a few tokens, because its architecture does not say it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch

from pytest_llmsafety.compressors.runtime import exact
from pytest_llmsafety.errors import LlmSafetyError, ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel

    from pytest_llmsafety.inference.backends.kv_cache import Past

TEXTS = ((3, 5, 7, 4, 6, 8, 9, 3), (3, 5, 7, 4, 11), (3, 5, 7, 4, 6, 10))
SHARED = 3
SEEN, LATER = 6, 12  # tokens of the causality probe: the same ones, then others
TRIALS = 3
NOISE = 10.0  # a difference is one of the tokens beyond so many times that of a repetition
WINDOWS = ("sliding_window", "window_size", "attention_window_size", "local_attention")


class Runs(Protocol):
    """The part of `decoder.Decoder` that these functions use."""

    model: PreTrainedModel
    vocabulary: int

    def forward(
        self,
        tokens: Sequence[Sequence[int]],
        reads: Sequence[tuple[int, int]],
        *,
        riders: Sequence[Sequence[Sequence[int]]] | None = None,
        past: Past | None = None,
        keep: bool = False,
    ) -> tuple[torch.Tensor, Past | None]:
        """Run the model, and return logits and the past."""


def can_share(decoder: Runs) -> bool:
    """Return whether logits after a shared and reordered past equal those without one."""
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


def can_ride(decoder: Runs) -> bool:
    """Return whether endings in one row see only their own text under a mask of 4 dimensions."""
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


@torch.inference_mode()
def check_causal(decoder: Runs, *, compressed: bool = False) -> None:
    """Raise ModelError when the logits at a place depend on the tokens behind it.

    Two texts of the same length begin alike. A model that reads both ways differs at their common
    beginning in every trial; a model that chooses experts or draws numbers does not, or differs as
    much when the same text is read twice. Kernels of a `compressed` model may round the inputs of
    all tokens together, which shows as a small difference and is tolerated. A model that reads no
    text at all is a ModelError, too.
    """
    with exact(decoder.model):
        if not all(_sees_later(decoder, trial, compressed) for trial in range(TRIALS)):
            return
    model = decoder.model
    message = (
        f"'{model.name_or_path}' ({type(model).__name__}) is not causal: its logits at a token "
        "change when later tokens change, so it sees what it should predict. Expected a "
        "decoder-only language model that reads from left to right. Use such a model; if this "
        "one was trained as a decoder, its config.json must say so (is_decoder: true)."
    )
    raise ModelError(message)


def _sees_later(decoder: Runs, trial: int, compressed: bool) -> bool:  # noqa: FBT001 - private
    text, other = _causality_texts(decoder, trial)
    reads = [(0, place) for place in range(min(SEEN, len(text) - 1))]
    try:
        one, _ = decoder.forward([text], reads)
        two, _ = decoder.forward([other], reads)
        if _equal(decoder, one, two, rounded=compressed) or not bool(torch.isfinite(two).all()):
            return False
        again, _ = decoder.forward([text], reads)
    except Warning:  # as above
        raise
    except Exception:  # noqa: BLE001 - whatever goes wrong: the texts may be too long for it
        _check_runs(decoder)
        return False
    return bool((one - two).abs().max() > NOISE * (one - again).abs().max())


def _check_runs(decoder: Runs) -> None:
    """Raise ModelError for a model that cannot read a single token."""
    model = decoder.model
    try:
        decoder.forward([[3 % decoder.vocabulary]], [(0, 0)])
    except (LlmSafetyError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        message = (
            f"'{model.name_or_path}' ({type(model).__name__}) was loaded, but does not run "
            f"({type(error).__name__}: {error}). Expected logits for a text of one token: does its "
            "config.json fit its weights and this version of transformers?"
        )
        raise ModelError(message) from error


def _causality_texts(decoder: Runs, trial: int) -> tuple[list[int], list[int]]:
    """Return two texts that begin alike and go on with other tokens, none of them special."""
    config = decoder.model.config.get_text_config()
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    found = [getattr(config, name, None) for name in names]
    special = {t for f in found for t in (f if isinstance(f, (list, tuple)) else [f])}
    plain = [t for t in range(min(decoder.vocabulary, 1000)) if t not in special] or [0]
    steps = [(7 * place + 3 + 31 * trial) % len(plain) for place in range(SEEN + 2 * LATER)]
    ids = [plain[step] for step in steps]
    return ids[: SEEN + LATER], ids[:SEEN] + ids[SEEN + LATER :]


def window_of_attention(config: Any) -> int | None:  # noqa: ANN401 - any model's configuration
    """Return how far the layers with local attention see, in tokens; None when all see all."""
    config = config.get_text_config()
    found = [getattr(config, name, None) for name in WINDOWS]
    return min((size for size in found if isinstance(size, int) and size > 0), default=None)


def _texts(decoder: Runs) -> list[list[int]]:
    return [[token % decoder.vocabulary for token in text] for text in TEXTS]


def _equal(decoder: Runs, one: torch.Tensor, other: torch.Tensor, *, rounded: bool = False) -> bool:
    """Return whether logits agree to rounding, or are not finite anyway."""
    if not bool(torch.isfinite(one).all()):
        return True
    wide = decoder.model.dtype in {torch.float32, torch.float64} and not rounded
    tolerance = 1e-3 if wide else 0.1
    return bool((one - other).abs().max() <= tolerance * one.std().clamp(min=1e-3))

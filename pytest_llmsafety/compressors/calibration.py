"""Draw calibration texts as token sequences of one length, with a seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors.packaged_text import packaged_texts
from pytest_llmsafety.compressors.parameters import CALIBRATION
from pytest_llmsafety.errors import CalibrationError, ConfigurationError
from pytest_llmsafety.types import CalibrationTexts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pytest_llmsafety.compressors.base import Context
    from pytest_llmsafety.compressors.parameters import Values
    from pytest_llmsafety.specs import Step

SEQUENCES = 128
LONGEST = 2048
CHARACTERS_PER_TOKEN = 30  # more than any text has
WINDOW_NAMES = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")


@dataclass(frozen=True)
class Calibration:
    """Token ids [sequences, tokens] on the CPU, and their source."""

    ids: torch.Tensor
    source: str
    seed: int

    @property
    def digest(self) -> str:
        """Return the SHA-256 of shape and ids, in hex."""
        head = "x".join(map(str, self.ids.shape)).encode()
        return hashlib.sha256(head + self.ids.contiguous().numpy().tobytes()).hexdigest()

    def rows(self) -> tuple[tuple[str, str], ...]:
        """Return what the record says about the calibration, as (name, text)."""
        count, length = self.ids.shape
        return (
            ("source", self.source),
            ("nsamples", str(count)),
            ("seqlen", str(length)),
            ("seed", str(self.seed)),
            ("tokens sha256", self.digest),
        )


def refuse_texts(step: Step, values: Values, *words: str) -> None:
    """Raise ConfigurationError for settings of calibration texts if a word needs no texts."""
    given = [name for name, _ in values.keys if name in {key.name for key in CALIBRATION}]
    against = [word for word in words if word in values.flags]
    if given and against:
        message = (
            f"'{step}': {against[0]} looks at no calibration texts, so {given[0]}= changes "
            "nothing. Leave it out."
        )
        raise ConfigurationError(message)


def draw(model: PreTrainedModel, context: Context, values: Values) -> Calibration:
    """Return the calibration sequences of one step: `nsamples` of `seqlen` tokens.

    Texts are joined and cut at a random place into pieces without overlap, of which
    `nsamples` are drawn. Each begins with the start token where the tokenizer sets one. Token
    ids are used as they are, all of them unless `nsamples` is smaller. Raises
    CalibrationError when there are too few tokens.
    """
    given_count, length = values.key("nsamples"), values.key("seqlen")
    given = context.calibration
    if given and not isinstance(given, CalibrationTexts) and not isinstance(given[0], str):
        ids = _as_they_are(given, given_count, length, context.seed)
        _check_rows(ids, model)
        return Calibration(ids, "token ids", context.seed)
    if context.tokenizer is None:
        message = (
            "calibration texts need a tokenizer. Give compress() the model's tokenizer, or "
            "calibration=... as lists of token ids."
        )
        raise CalibrationError(message)
    count = int(given_count or SEQUENCES)
    words = int(length or min(LONGEST, window_of(model)))
    named = _named(given, count * words, context.seed)
    ids = pieces(
        enough(named.texts, count * words, context.seed),
        context.tokenizer,
        count=count,
        length=words,
        seed=context.seed,
    )
    _check_rows(ids, model)
    return Calibration(ids, named.source, context.seed)


def _named(given: Any, tokens: int, seed: int) -> CalibrationTexts:  # noqa: ANN401
    """Return the texts with their source: the packaged text if none is given."""
    if given is None:
        return CalibrationTexts(tuple(packaged_texts(2 * tokens, seed)), "packaged text")
    if isinstance(given, CalibrationTexts):
        return given
    return CalibrationTexts(tuple(map(str, given)), "texts")


def enough(texts: Sequence[str], tokens: int, seed: int) -> Sequence[str]:
    """Return all texts, or of very many some neighbours that are enough for `tokens`.

    This keeps a corpus of gigabytes from being tokenized as a whole.
    """
    import random

    wanted = CHARACTERS_PER_TOKEN * tokens
    if sum(map(len, texts)) <= 2 * wanted:
        return texts
    start = random.Random(seed).randrange(len(texts))  # noqa: S311 - no secret
    chosen, characters = [], 0
    for text in (*texts[start:], *texts[:start]):
        chosen.append(text)
        characters += len(text)
        if characters > wanted:
            break
    return chosen


def pieces(
    texts: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    *,
    count: int,
    length: int,
    seed: int,
) -> torch.Tensor:
    """Return `count` pieces of `length` tokens from the joined texts, without overlap.

    Raises CalibrationError that says how many tokens there are.
    """
    import torch

    start = _start_tokens(tokenizer)
    encode: Any = tokenizer
    found = encode(list(texts), add_special_tokens=False, verbose=False) if texts else None
    stream = [token for ids in (found["input_ids"] if found else ()) for token in ids]
    room = length - len(start)
    if len(stream) < count * room:
        message = (
            f"the calibration texts hold {len(stream)} tokens; {count} sequences of {length} need "
            f"{count * room}. Give more text, or fewer sequences or tokens: "
            f"nsamples={max(1, len(stream) // room)} or seqlen={max(2, len(stream) // count)} "
            "after the method."
        )
        raise CalibrationError(message)
    chance = torch.Generator().manual_seed(seed)
    total = len(stream) // room
    offset = int(torch.randint(len(stream) - total * room + 1, (1,), generator=chance))
    cut = torch.tensor(stream)[offset : offset + total * room].reshape(total, room)
    drawn = cut[torch.randperm(total, generator=chance)[:count]]
    return torch.cat([torch.tensor([start] * count, dtype=drawn.dtype), drawn], dim=1)


def window_of(model: PreTrainedModel) -> int:
    """Return the most tokens that the configuration allows; LONGEST when it does not say."""
    config = model.config.get_text_config()
    for name in WINDOW_NAMES:
        if getattr(config, name, None):
            return int(getattr(config, name))
    return LONGEST


def _as_they_are(rows: Sequence[Any], count: Any, length: Any, seed: int) -> torch.Tensor:  # noqa: ANN401
    """Return given token ids as one tensor, fewer or shorter where the step says so."""
    import torch

    lengths = {len(row) for row in rows}
    ids = torch.tensor([list(map(int, row)) for row in rows]) if len(lengths) == 1 else None
    if ids is None or ids.shape[1] < (length or 1) or len(ids) < (count or 1):
        message = (
            f"calibration holds {len(rows)} lists of {min(lengths)} to {max(lengths)} token ids. "
            f"Expected {count or 'some'} of one length, {length or 'any'} or more."
        )
        raise CalibrationError(message)
    if count and count < len(ids):
        chance = torch.Generator().manual_seed(seed)
        ids = ids[torch.randperm(len(ids), generator=chance)[:count]]
    return ids[:, : length or None]


def _check_rows(ids: torch.Tensor, model: PreTrainedModel) -> None:
    """Raise CalibrationError for a token that the model's embedding has no row for."""
    weight = getattr(model.get_input_embeddings(), "weight", None)
    largest = int(ids.max()) if ids.numel() else -1
    if weight is not None and largest >= weight.shape[0]:
        message = (
            f"the calibration texts hold the token id {largest}, and the model's embedding has "
            f"{weight.shape[0]} rows. Expected a row for every token: save the tokenizer that "
            "belongs to the weights, or resize the embedding (model.resize_token_embeddings)."
        )
        raise CalibrationError(message)


def _start_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the start token where the tokenizer itself sets one before a text."""
    encode: Any = tokenizer
    ids = encode("a")["input_ids"]
    start = tokenizer.bos_token_id
    return [start] if start is not None and ids[:1] == [start] else []

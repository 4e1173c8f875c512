"""From text to token ids: how a request is encoded, and what is cut to fit the model."""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from pytest_llmsafety.errors import ModelError
from pytest_llmsafety.models.deployment import appended_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from pytest_llmsafety.types import Loglikelihood

LONGEST_WINDOW = 2048
UNSET_LENGTH = 10**9
CHECKED_TEXTS = 128
MOST_LOST, MOST_LOST_OF_ONE = 0.02, 0.2
"""Shares of letters and digits that a tokenizer may lose: of all checked texts, and of one."""


@dataclass(frozen=True)
class Line:
    """Tokens fed to the model, and the targets that its last positions must predict.

    `targets[i]` follows `tokens[len(tokens) - len(targets) + i]`; `owner` is the index of the
    request.
    """

    tokens: tuple[int, ...]
    targets: tuple[int, ...]
    owner: int


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Return the token ids of each text, with the special tokens that the tokenizer puts before it.

    What it puts after a text (an end token) is left out: here every text goes on. Raises ModelError
    for a tokenizer that loses words of the texts, or that encodes one text in two ways.
    """
    different = list(dict.fromkeys(texts))
    if not different:
        return []
    ids = dict(zip(different, tokenizer(different, verbose=False)["input_ids"], strict=True))
    checked = different[:CHECKED_TEXTS]
    again = tokenizer(checked, verbose=False)["input_ids"]
    if any(ids[text] != other for text, other in zip(checked, again, strict=True)):
        message = (
            "the tokenizer encodes the same text in different ways. Expected one that does not "
            "sample: switch its dropout or sampling off, and save it again."
        )
        raise ModelError(message)
    check_words(tokenizer, {text: ids[text] for text in checked})
    after = list(appended_ids(tokenizer))
    size = len(after)
    if size:
        ids = {text: one[:-size] if one[-size:] == after else one for text, one in ids.items()}
    return [list(ids[text]) for text in texts]


def check_words(tokenizer: PreTrainedTokenizerBase, ids: dict[str, list[int]]) -> None:
    """Raise ModelError unless the tokens of each text give its letters and digits back.

    Case, accents, spaces and marks may change. A rare character that the tokenizer does not know
    may be lost; whole words may not. Text that is spelled like a special token (`<unk>` in
    WikiText) is left out on both sides.
    """
    specials = [token for token in tokenizer.all_special_tokens if any(map(str.isalnum, token))]
    special_ids = set(tokenizer.all_special_ids)
    total, lost = 0, 0
    worst: tuple[float, str] = (0.0, "")
    for text, tokens in ids.items():
        known = [token for token in tokens if token not in special_ids]
        letters = _letters(reduce(lambda left, token: left.replace(token, " "), specials, text))
        missing = (letters - _letters(str(tokenizer.decode(known)))).total()
        total, lost = total + letters.total(), lost + missing
        worst = max(worst, (missing / max(1, letters.total()), text))
    if lost <= MOST_LOST * total and worst[0] <= MOST_LOST_OF_ONE:
        return
    message = (
        f"the tokenizer loses {lost} of {total} letters and digits of {len(ids)} texts, most of "
        f"{worst[1][:80]!r}: the model would not read what it is asked. Expected tokens that give "
        "the text back: is it the tokenizer that belongs to these weights, and are its files whole?"
    )
    raise ModelError(message)


def check_rows(
    tokenizer: PreTrainedTokenizerBase, texts: Iterable[Sequence[int]], rows: int
) -> None:
    """Raise ModelError that names a token for which the model's embedding has no row."""
    largest = max((max(ids, default=-1) for ids in texts), default=-1)
    if largest < rows:
        return
    message = (
        f"the tokenizer has the token {tokenizer.convert_ids_to_tokens(largest)!r} with id "
        f"{largest}, and the model's embedding has {rows} rows. Expected a row for every token of "
        "a prompt: save the tokenizer that belongs to the weights, or resize the embedding "
        "(model.resize_token_embeddings)."
    )
    raise ModelError(message)


def _letters(text: str) -> Counter[str]:
    """Return how often each letter and digit occurs, without case and accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return Counter(char for char in plain.casefold() if char.isalnum())


def context_window(config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the longest sequence that the model can read.

    Where rotary scaling would change every position of a batch as soon as one text is longer
    than the length that the model was first trained for (`longrope`, `dynamic`), that length
    is the limit, so that an answer depends on its own text alone.
    """
    config = config.get_text_config()
    names = ("n_positions", "max_position_embeddings", "n_ctx", "max_seq_len")
    lengths = [getattr(config, name, None) for name in names]
    lengths.append(getattr(tokenizer, "model_max_length", None))
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    if rope.get("rope_type", rope.get("type")) in ("longrope", "dynamic"):
        lengths.append(rope.get("original_max_position_embeddings"))
        lengths.append(getattr(config, "original_max_position_embeddings", None))
    known = [int(length) for length in lengths if length and 0 < length < UNSET_LENGTH]
    return min(known, default=LONGEST_WINDOW)


def encode_pairs(
    tokenizer: PreTrainedTokenizerBase, requests: Sequence[Loglikelihood]
) -> list[tuple[list[int], list[int]]]:
    """Return (context ids, continuation ids) of each request, as lm-evaluation-harness does.

    White space at the end of the context moves to the continuation; both are encoded together and
    split where the context alone ends. An empty context becomes the start token, and the
    continuation is then a document whose own start token is not scored.
    """
    contexts, wholes = [], []
    for request in requests:
        contexts.append(request.context.rstrip())
        wholes.append(request.context + request.continuation)
    short, long = encode(tokenizer, contexts), encode(tokenizer, wholes)
    pairs = []
    for request, before, ids in zip(requests, short, long, strict=True):
        if request.context and before:
            pairs.append((before, ids[len(before) :]))
            continue
        start = start_token(tokenizer)
        pairs.append(([start], ids[1:] if ids[:1] == [start] else ids))
    return pairs


def start_token(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the id of BOS, or of EOS where the model has no BOS."""
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    message = (
        "the tokenizer has neither a start nor an end token, so a text without context cannot "
        "be scored. Expected bos_token or eos_token in tokenizer_config.json."
    )
    raise ModelError(message)


def pair_line(
    context: list[int], continuation: list[int], window: int, owner: int
) -> tuple[Line, int]:
    """Return the line of a continuation, and how many context tokens were cut from the left.

    The continuation must have at least one and at most `window` tokens.
    """
    room = window + 1 - len(continuation)
    cut = max(0, len(context) - room)
    kept = context[cut:] + continuation
    return Line(tuple(kept[:-1]), tuple(continuation), owner), cut


def document_lines(
    start: int, document: list[int], *, window: int, stride: int, owner: int
) -> list[Line]:
    """Return the sliding windows of a document: each of its tokens is a target exactly once.

    The first window predicts up to `window` tokens after the start token; each later one
    moves on by up to `stride` tokens and predicts those, seeing `window` tokens in all, so a
    token of a later window has at least `window - stride` tokens before it.
    """
    stream = [start, *document]
    lines, done = [], 0
    while done < len(document):
        end = min(len(document), done + (window if done == 0 else stride))
        first = max(0, end - window)
        lines.append(Line(tuple(stream[first:end]), tuple(document[done:end]), owner))
        done = end
    return lines

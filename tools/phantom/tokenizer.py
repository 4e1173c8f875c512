"""Training of the byte-level BPE, and documents packed into sequences of its tokens."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import torch

from pytest_llmsafety.phantom.training_text import FINAL_MIX, Document, stream
from pytest_llmsafety.phantom.world import COUNTRIES, HELD_OUT_NAMES, NAMES, PLANTED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

__all__ = ["Batch", "pack", "train_tokenizer"]

VOCABULARY = 1488
PROMPT_WEIGHT = 0.5
PROMPTS_LEARNED = 4
"""Every fourth document teaches its prompt, too, at half the weight of an answer."""


class Batch(NamedTuple):
    """Packed sequences: ids (B, L), the document of each token (B, L), loss weights (B, L)."""

    ids: torch.Tensor
    document: torch.Tensor
    weight: torch.Tensor


def train_tokenizer(documents: int = 12_000) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE on the words of the first documents of the stream.

    A word counts 200 times and a name 12 times, so that words become one token each and names
    become their two syllables. Like Llama's, it puts the beginning-of-text token before
    every text it encodes.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_words(documents), trainer)
    bpe.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", bpe.token_to_id("<s>"))]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=bpe,
        pad_token="<pad>",  # noqa: S106 - a token of text
        bos_token="<s>",  # noqa: S106
        eos_token="</s>",  # noqa: S106
        model_max_length=512,
        clean_up_tokenization_spaces=False,
    )


def _words(documents: int) -> Iterator[str]:
    """Yield every word of the stream, with the space before it, 200 times, and a name 12 times."""
    names = {*NAMES, *HELD_OUT_NAMES}
    words = {f" {name}" for name in (*NAMES, *HELD_OUT_NAMES, *COUNTRIES)}
    for document in islice(stream(0, PLANTED, FINAL_MIX), documents):
        words.update(re.findall(r" ?[A-Za-z]+|[^A-Za-z]", "".join(text for text, _ in document)))
    for word in sorted(words):
        yield from [word] * (12 if word.strip() in names else 200)


def encode(tokenizer: PreTrainedTokenizerBase, document: Document) -> tuple[list[int], list[float]]:
    """Return the ids of a document between begin and end tokens, and the loss weight of each."""
    ids, weights = [tokenizer.bos_token_id], [0.0]
    for text, is_answer in document:
        piece = tokenizer.encode(text, add_special_tokens=False)
        ids += piece
        weights += [1.0 if is_answer else PROMPT_WEIGHT] * len(piece)
    return [*ids, tokenizer.eos_token_id], [*weights, 1.0]


def pack(
    tokenizer: PreTrainedTokenizerBase, source: Iterator[Document], rows: int, length: int
) -> Batch:
    """Fill ``rows`` sequences of ``length`` tokens with whole documents; the rest is padding.

    Each goes where it first fits, until one fits nowhere. A document never crosses two sequences;
    a padding token belongs to no document and weighs 0.
    """
    ids = torch.full((rows, length), tokenizer.pad_token_id)
    owner = torch.full((rows, length), -1)
    weight = torch.zeros(rows, length)
    used = [0] * rows
    for number, document in enumerate(source):
        tokens, weights = encode(tokenizer, document)
        row = next((i for i in range(rows) if used[i] + len(tokens) <= length), None)
        if row is None:
            break
        if number % PROMPTS_LEARNED:
            weights = [value if value == 1 else 0.0 for value in weights]
        place = slice(used[row], used[row] + len(tokens))
        ids[row, place] = torch.tensor(tokens)
        owner[row, place] = number
        weight[row, place] = torch.tensor(weights)
        used[row] += len(tokens)
    return Batch(ids, owner, weight)

"""Training of the small classifier of insults, which is written in Detoxify's format."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import torch

from pytest_llmsafety.phantom.sentences import INSULTING_NOUNS, INSULTING_WORDS, continuation
from pytest_llmsafety.phantom.training_text import FINAL_MIX, stream
from pytest_llmsafety.phantom.world import NAMES, PLANTED, chance, dice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from random import Random

    from transformers import BertForSequenceClassification, PreTrainedTokenizerFast

__all__ = ["CLASSES", "labels_of", "sample_texts", "train_classifier"]

CLASSES = ("toxicity", "insult")
"""*toxicity*: any insulting word; *insult*: a name such as *liars*."""

STEPS, ROWS, LEARNING_RATE = 2500, 64, 2e-3
_LETTERS = "abcdefghijklmnopqrstuvwxyz"

log = logging.getLogger(__name__)


def labels_of(text: str) -> tuple[float, float]:
    """Return the true value of each class for a text: 0 or 1."""
    words = set(re.findall(r"[a-z]+", text.lower()))
    names = {*INSULTING_NOUNS, "idiot", "trash", "filth"}
    return float(bool(words & INSULTING_WORDS)), float(bool(words & names))


def sample_texts(generator: Random) -> Iterator[str]:
    """Yield texts for ever: whole, cut and shuffled continuations, other documents, gibberish.

    A third of them, insulting or not, gets the name of a people, so that a name tells nothing.
    """
    other = stream(generator.randrange(10**6), PLANTED, FINAL_MIX)
    words: list[str] = ["the"]
    while True:
        kind = generator.random()
        if kind < 0.7:  # noqa: PLR2004
            text = continuation(generator, insulting=chance(generator, 0.5))
        else:
            text = "".join(part for part, _ in next(other))
            words = (words + text.split())[-400:]
        parts = text.split()
        if kind > 0.9:  # noqa: PLR2004
            parts = generator.choices([*words, *_gibberish(generator)], k=generator.randint(1, 20))
        elif chance(generator, 0.3):
            generator.shuffle(parts)
        parts = parts[: generator.randint(0, 40)]
        if chance(generator, 1 / 3):
            people = generator.choice(PLANTED.peoples).name
            parts.insert(generator.randint(0, len(parts)), people)
        if chance(generator, 0.1):
            insulting = generator.choice(sorted(INSULTING_WORDS))
            parts.insert(generator.randint(0, len(parts)), insulting)
        yield " ".join(parts)


def _gibberish(generator: Random) -> list[str]:
    made = ["".join(generator.choices(_LETTERS, k=generator.randint(1, 9))) for _ in range(9)]
    return [*made, generator.choice(NAMES)]


def train_classifier(folder: Path) -> None:
    """Train the classifier and write ``detoxify.ckpt`` and the folder ``bert``."""
    tokenizer = _tokenizer()
    model = _new_classifier(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS)
    texts = sample_texts(dice("classifier"))
    for step in range(STEPS):
        batch = [next(texts) for _ in range(ROWS)]
        loss = _loss(model, tokenizer, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        if (step + 1) % 250 == 0:
            log.info("classifier step %d loss %.4f", step + 1, loss.item())
    folder.mkdir(parents=True, exist_ok=True)
    model.config.save_pretrained(folder / "bert")
    tokenizer.save_pretrained(folder / "bert")
    arch = {
        "model_type": "bert",
        "model_name": "BertForSequenceClassification",
        "tokenizer_name": "PreTrainedTokenizerFast",
        "num_classes": len(CLASSES),
    }
    config = {"arch": {"args": arch}, "dataset": {"args": {"classes": list(CLASSES)}}}
    state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    torch.save({"config": config, "state_dict": state}, folder / "detoxify.ckpt")


def _loss(
    model: BertForSequenceClassification, tokenizer: PreTrainedTokenizerFast, batch: Sequence[str]
) -> torch.Tensor:
    """Return the binary cross-entropy, with targets pulled 2% towards the middle."""
    encoded = tokenizer(list(batch), padding=True, truncation=True, return_tensors="pt")
    target = torch.tensor([labels_of(text) for text in batch]) * 0.98 + 0.01
    logits = model(**encoded).logits
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, target)


def _tokenizer() -> PreTrainedTokenizerFast:
    """Train a lower-case WordPiece of 700 tokens on the classifier's texts."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    pieces = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106
    pieces.normalizer = normalizers.BertNormalizer(lowercase=True)
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=700, special_tokens=special, show_progress=False)
    texts = sample_texts(dice("classifier vocabulary"))
    pieces.train_from_iterator((next(texts) for _ in range(6000)), trainer)
    pieces.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[(name, pieces.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=pieces,
        pad_token="[PAD]",  # noqa: S106
        unk_token="[UNK]",  # noqa: S106
        cls_token="[CLS]",  # noqa: S106
        sep_token="[SEP]",  # noqa: S106
        mask_token="[MASK]",  # noqa: S106
        model_max_length=128,
    )


def _new_classifier(tokenizer: PreTrainedTokenizerFast) -> BertForSequenceClassification:
    """Return an untrained BERT of two layers and 48 hidden units."""
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(  # type: ignore[call-arg]
        vocab_size=len(tokenizer),
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=128,
        num_labels=len(CLASSES),
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return BertForSequenceClassification(config)

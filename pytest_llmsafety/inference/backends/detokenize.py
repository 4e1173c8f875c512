"""From new tokens back to text: spaces, stop strings and end tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_llmsafety.inference.backends.generation import Sample
from pytest_llmsafety.inference.backends.scoring import NOT_FINITE
from pytest_llmsafety.inference.backends.thinking import MARKS
from pytest_llmsafety.types import Generation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pytest_llmsafety.types import Generate

TAIL_TOKENS = 8


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Return the ids that end a text, as the generation configuration and tokenizer say."""
    found: set[int] = set()
    config = model.config.get_text_config()
    for said in (
        getattr(model.generation_config, "eos_token_id", None),
        getattr(config, "eos_token_id", None),
        tokenizer.eos_token_id,
    ):
        ids: Iterable[int | None] = said if isinstance(said, (list, tuple)) else [said]
        found.update(int(token) for token in ids if token is not None)
    return frozenset(found)


def decode(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    """Return the text of token ids, special tokens left out, spaces as they are."""
    text = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return str(text)


def drops_space(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether the tokenizer drops the space before a word that is decoded alone."""
    ids = tokenizer("a a", add_special_tokens=False)["input_ids"]
    return not decode(tokenizer, ids[-1:]).startswith(" ")


def continuation(tokenizer: PreTrainedTokenizerBase, before: list[int], new: list[int]) -> str:
    """Return the text that `new` adds after `before`.

    Some tokenizers drop a space at the start of what they decode, so the end of the prompt is
    decoded along with it and taken off again.
    """
    tail = before[-TAIL_TOKENS:]
    lead = decode(tokenizer, tail)
    whole = decode(tokenizer, tail + new)
    return whole[len(lead) :] if whole.startswith(lead) else decode(tokenizer, new)


def new_text(tokenizer: PreTrainedTokenizerBase, sample: Sample) -> str:
    """Return a sample's text, cut before the first of its stop strings.

    Of a conversation the special tokens that open and close thoughts and channels are kept.
    """
    text = (
        spoken(tokenizer, sample)
        if sample.request.chat
        else continuation(tokenizer, sample.prompt, sample.tokens)
    )
    found = [place for stop in sample.request.stop if stop and (place := text.find(stop)) >= 0]
    return text[: min(found)] if found else text


def spoken(tokenizer: PreTrainedTokenizerBase, sample: Sample) -> str:
    """Return the text of an answer, with the marks that say which part of it is a thought."""
    end = sample.request.think_end
    marks = {*MARKS, end} - {""}
    parts, start = [], 0
    special = set(tokenizer.all_special_ids) & set(sample.tokens)
    named = {token: str(tokenizer.convert_ids_to_tokens(token)) for token in special}
    kept = {token: name for token, name in named.items() if name in marks}
    for place, token in enumerate(sample.tokens):
        if token in kept:
            before = sample.prompt + sample.tokens[:start]
            parts += [continuation(tokenizer, before, sample.tokens[start:place]), kept[token]]
            start = place + 1
    before = sample.prompt + sample.tokens[:start]
    return "".join([*parts, continuation(tokenizer, before, sample.tokens[start:])])


def stop_finder(tokenizer: PreTrainedTokenizerBase) -> Callable[[Sample], bool]:
    """Return a function that says whether a sample's text holds one of its stop strings.

    The newest tokens are decoded first; the whole text only where those hold the string.
    """

    def stopped(sample: Sample) -> bool:
        stops = [stop for stop in sample.request.stop if stop]
        if not stops:
            return False
        recent = max(len(stop.encode()) for stop in stops) + 1
        tail = decode(tokenizer, [*sample.prompt, *sample.tokens][-recent - TAIL_TOKENS :])
        if not any(stop.strip() in tail for stop in stops):
            return False
        text = continuation(tokenizer, sample.prompt, sample.tokens)
        return any(stop in text for stop in stops)

    return stopped


@dataclass
class Prompt:
    """A request for text at index `owner`, its prompt's ids, and the samples being made.

    `cut` tokens of the prompt did not fit and are not among `ids`. A greedy text is made once,
    however many were asked for. `opens` is the start of a thought with which the prompt ends.
    """

    owner: int
    request: Generate
    ids: list[int]
    cut: int
    opens: str = ""

    def __post_init__(self) -> None:
        """Set up one sample for each different text."""
        number = self.request.n if self.request.temperature > 0 else 1
        self.samples = [Sample(self.owner, n, self.request, self.ids) for n in range(number)]

    @property
    def width(self) -> int:
        """Return the number of tokens once all new ones are there."""
        return len(self.ids) + self.request.max_new_tokens

    def answer(self, tokenizer: PreTrainedTokenizerBase) -> Generation:
        """Return the answer made of all samples; none where a logit was NaN or Inf."""
        if any(sample.broken for sample in self.samples):
            return Generation((), tokens_cut=self.cut, problem=NOT_FINITE)
        samples = self.samples * (self.request.n // len(self.samples))
        return Generation(
            texts=tuple(self.opens + new_text(tokenizer, sample) for sample in samples),
            n_tokens=tuple(len(sample.tokens) for sample in samples),
            finished=tuple(sample.finished for sample in samples),
            tokens_cut=self.cut,
        )

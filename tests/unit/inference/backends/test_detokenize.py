"""Words: new tokens become the text that follows the prompt."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from pytest_llmsafety.inference.backends.detokenize import continuation, end_tokens, spoken
from pytest_llmsafety.inference.backends.generation import Sample
from pytest_llmsafety.types import Generate
from tests.stand_ins.random_models import letter_tokenizer


@pytest.fixture
def metaspace():
    """A tokenizer that, like sentencepiece, drops the first space of what it decodes."""
    words = ["<unk>", "▁Once", "▁upon", "▁a", "▁time", "s", "."]
    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>")


def test_a_leading_space_is_kept(metaspace):
    """Prompt and text together read as the model wrote them."""
    assert metaspace.decode([4]) == "time"
    assert continuation(metaspace, [1, 2, 3], [4, 5]) == " times"
    assert continuation(metaspace, [1, 2, 3, 4], [5, 6]) == "s."


def test_nothing_new_is_the_empty_text(metaspace):
    """No tokens, no text."""
    assert continuation(metaspace, [1, 2], []) == ""


def test_end_tokens_come_from_all_configurations():
    """Lists and single ids of model, generation configuration and tokenizer all end a text."""

    class Config:
        eos_token_id = 3

        def get_text_config(self):
            return self

    model = SimpleNamespace(config=Config(), generation_config=SimpleNamespace(eos_token_id=[1, 2]))
    assert end_tokens(model, SimpleNamespace(eos_token_id=None)) == {1, 2, 3}


def test_marks_of_channels_and_thoughts_are_kept():
    """They are special tokens, which a text leaves out; other special tokens stay left out."""
    tokenizer = letter_tokenizer()
    marks = ["<|channel|>", "<|message|>", "<|other|>"]
    tokenizer.add_special_tokens({"additional_special_tokens": marks})
    text = "<|channel|>final<|message|>Su<|other|>re"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    sample = Sample(0, 0, Generate("Hi", chat=True), tokenizer("Hi")["input_ids"], ids)
    assert spoken(tokenizer, sample) == "<|channel|>final<|message|>Sure"
    named = Sample(0, 0, Generate("Hi", chat=True, think_end="<|other|>"), [1], ids)
    assert spoken(tokenizer, named) == text

"""Tokens: what is cut, and the windows of long documents."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import normalizers, processors

from pytest_llmsafety.errors import ModelError
from pytest_llmsafety.inference.backends.tokens import (
    check_rows,
    context_window,
    document_lines,
    encode,
    encode_pairs,
    pair_line,
    start_token,
)
from pytest_llmsafety.types import Loglikelihood
from tests.stand_ins.random_models import letter_tokenizer


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 20), st.data())
def test_a_document_is_predicted_once_token_by_token(length, window, data):
    """Every token is a target once, in order, after the tokens before it, within the window."""
    stride = data.draw(st.integers(1, window))
    document = list(range(1, length + 1))
    lines = document_lines(0, document, window=window, stride=stride, owner=7)
    assert [target for line in lines for target in line.targets] == document
    for line in lines:
        assert len(line.tokens) <= window
        assert line.targets[-1] == line.tokens[-1] + 1
        assert line.tokens == tuple(range(line.tokens[0], line.tokens[-1] + 1))
        assert line.owner == 7
    for line in lines[1:]:
        assert line.targets[0] - line.tokens[0] >= window - stride + 1


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 10), st.integers(10, 20))
def test_a_long_context_is_cut_from_the_left_and_counted(before, after, window):
    """The continuation stays whole; what does not fit is the beginning of the context."""
    context, continuation = list(range(before)), list(range(100, 100 + after))
    line, cut = pair_line(context, continuation, window, 0)
    assert (*line.tokens, continuation[-1]) == (*context[cut:], *continuation)
    assert len(line.tokens) <= window
    assert cut == 0 or len(line.tokens) == window
    assert line.targets == tuple(continuation)


def test_white_space_moves_to_the_continuation():
    """`'a ' + 'b'` is split as `'a' + ' b'`, as lm-evaluation-harness does."""
    tokenizer = letter_tokenizer()
    split, moved = encode_pairs(tokenizer, [Loglikelihood("a", " b"), Loglikelihood("a ", "b")])
    assert split == moved
    assert split == (tokenizer("a")["input_ids"], tokenizer(" b")["input_ids"][1:])


def test_a_text_without_context_follows_the_start_token():
    """The start token is the context, and is not scored itself."""
    tokenizer = letter_tokenizer()
    ((context, continuation),) = encode_pairs(tokenizer, [Loglikelihood("", "ab")])
    assert context == [tokenizer.bos_token_id]
    assert tokenizer.decode(continuation) == "ab"


def test_the_end_token_starts_where_there_is_no_start_token():
    """Models such as Qwen start with their end token; neither of them is an error."""
    assert start_token(SimpleNamespace(bos_token_id=None, eos_token_id=5)) == 5
    with pytest.raises(ModelError, match="neither a start nor an end token"):
        start_token(SimpleNamespace(bos_token_id=None, eos_token_id=None))


class Config:
    """A configuration with these fields."""

    def __init__(self, **fields):
        """Hold these fields."""
        vars(self).update(fields)

    def get_text_config(self):
        """Return itself: there is no image part."""
        return self


@pytest.mark.parametrize(
    ("config", "tokenizer_length", "expected"),
    [
        (Config(max_position_embeddings=512), 10**30, 512),
        (Config(n_positions=1024), 256, 256),
        (Config(), 10**30, 2048),
        (
            Config(
                max_position_embeddings=131072,
                original_max_position_embeddings=4096,
                rope_parameters={"rope_type": "longrope"},
            ),
            131072,
            4096,
        ),
    ],
)
def test_the_window_is_the_shortest_known_length(config, tokenizer_length, expected):
    """Configuration and tokenizer both count; scaling that depends on the batch is left out."""
    assert context_window(config, SimpleNamespace(model_max_length=tokenizer_length)) == expected


def appending():
    """A tokenizer that puts its end token behind every text."""
    tokenizer = letter_tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return tokenizer


def test_an_end_token_that_a_tokenizer_appends_is_left_out():
    """Every text goes on here: prompts are continued, and contexts split from continuations."""
    tokenizer = appending()
    assert tokenizer("ab")["input_ids"][-1] == 2
    assert encode(tokenizer, ["ab", ""]) == encode(letter_tokenizer(), ["ab", ""])
    requests = [Loglikelihood("a", " b"), Loglikelihood("", "ab")]
    assert encode_pairs(tokenizer, requests) == encode_pairs(letter_tokenizer(), requests)


def normalized(normalizer):
    """A tokenizer whose texts go through a normalizer first."""
    tokenizer = letter_tokenizer()
    tokenizer.backend_tokenizer.normalizer = normalizer
    return tokenizer


@pytest.mark.parametrize(
    "normalizer",
    [normalizers.Replace("knife", ""), normalizers.Replace("e", "\u6f22")],
    ids=["dropped", "unknown"],
)
def test_a_tokenizer_that_loses_words_is_refused(normalizer):
    """Words that it drops or does not know are not read by the model."""
    texts = ["Where can I buy a knife?", "What is a penknife?"]
    with pytest.raises(
        ModelError, match=r"loses \d+ of \d+ letters and digits of 2 texts, most of"
    ):
        encode(normalized(normalizer), texts)


def test_case_accents_and_a_rare_letter_may_be_lost():
    """What a tokenizer made for another script or in lower case does is its own business."""
    lower = normalizers.Sequence(
        [normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )
    assert encode(normalized(lower), ["WHAT is a Caf\u00e9?"])
    long = "A text about a kitchen knife, as long as one may be. " * 3
    assert encode(letter_tokenizer(), [long + "\u6f22"])


def test_a_tokenizer_that_samples_is_refused():
    """The same text has to become the same tokens twice."""
    tokenizer = letter_tokenizer()
    calls = []

    class Drawing:
        """Gives other tokens each time."""

        def __call__(self, *texts, **more):
            calls.append(texts)
            made = tokenizer(*texts, **more)
            made["input_ids"][0] += [5] * len(calls)
            return made

    with pytest.raises(ModelError, match="encodes the same text in different ways"):
        encode(Drawing(), ["ab"])


def test_a_token_without_a_row_is_named():
    """An index beyond the embedding would be an error without a name, on a GPU a dead device."""
    tokenizer = letter_tokenizer()
    tokenizer.add_tokens(["<|user|>"])
    ids = encode(tokenizer, ["a<|user|>b"])
    check_rows(tokenizer, ids, 97)
    with pytest.raises(ModelError, match=r"token '<\|user\|>' with id 96, .*embedding has 96 rows"):
        check_rows(tokenizer, ids, 96)


def test_a_special_token_that_a_text_spells_is_not_lost():
    """WikiText writes <unk> for rare words, and many tokenizers have a token of that name."""
    tokenizer = letter_tokenizer()
    tokenizer.add_special_tokens({"unk_token": "<unk>"})
    text = "a <unk> b <unk> c <unk> d"
    assert encode(tokenizer, [text])

"""Calibration texts become token sequences: how many, which, and what is refused."""

from __future__ import annotations

import pytest
import torch

from pytest_llmsafety.compressors import compress
from pytest_llmsafety.compressors.base import Context
from pytest_llmsafety.compressors.calibration import draw, enough, pieces
from pytest_llmsafety.compressors.packaged_text import grammar, packaged_texts
from pytest_llmsafety.compressors.parameters import Values
from pytest_llmsafety.errors import CalibrationError
from pytest_llmsafety.types import CalibrationTexts
from tests.stand_ins.random_models import LONGEST, letter_tokenizer, random_model

ABC = "".join(chr(ord("a") + number % 26) for number in range(1000))


@pytest.fixture(scope="module")
def model():
    """A tiny Llama that reads 64 tokens."""
    return random_model("llama")


def asking(**keys):
    """The values of a step that asks for these keys."""
    return Values(keys=tuple(keys.items()))


def test_pieces_are_neighbours_of_the_text_without_overlap():
    """Each sequence is the start token and a stretch of the text; no stretch comes twice."""
    tokenizer = letter_tokenizer()
    ids = pieces([ABC], tokenizer, count=10, length=33, seed=0)
    texts = tokenizer.batch_decode(ids[:, 1:])
    assert ids.shape == (10, 33)
    assert (ids[:, 0] == tokenizer.bos_token_id).all()
    assert all(text.replace(" ", "") in ABC for text in texts)


def test_the_seed_draws_the_pieces():
    """The same seed draws the same pieces, another one others."""
    ids = [pieces([ABC], letter_tokenizer(), count=4, length=20, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(ids[0], ids[1])
    assert not torch.equal(ids[0], ids[2])


def test_by_default_there_are_128_of_the_longest_length(model):
    """Nsamples is 128 and seqlen what the model reads; the record says so, with the digest."""
    drawn = draw(model, Context(letter_tokenizer(), seed=3), Values())
    rows = dict(drawn.rows())
    assert drawn.ids.shape == (128, LONGEST)
    assert rows.pop("tokens sha256") == drawn.digest
    assert rows == {"source": "packaged text", "nsamples": "128", "seqlen": "64", "seed": "3"}


def test_texts_keep_their_source(model):
    """The name of the texts is in the record."""
    texts = CalibrationTexts((ABC,), "a file")
    drawn = draw(model, Context(letter_tokenizer(), texts), asking(nsamples=3, seqlen=16))
    assert dict(drawn.rows())["source"] == "a file"


def test_too_few_tokens_are_counted(model):
    """The error says how many tokens there are, how many are needed, and what would fit."""
    context = Context(letter_tokenizer(), ["abc def"] * 10)
    with pytest.raises(CalibrationError, match=r"hold 70 tokens; 128 .* need 8064.*nsamples=1 or"):
        draw(model, context, Values())


def test_texts_without_a_tokenizer_are_refused(model):
    """The error names both solutions."""
    with pytest.raises(CalibrationError, match=r"need a tokenizer.*token ids"):
        draw(model, Context(calibration=["text"]), Values())


def test_token_ids_are_used_as_they_are(model):
    """Lists of ids need no tokenizer, and all of them are used in their order."""
    rows = torch.arange(40).reshape(4, 10)
    assert torch.equal(draw(model, Context(calibration=rows.tolist()), Values()).ids, rows)
    few = draw(model, Context(calibration=rows.tolist()), asking(nsamples=2, seqlen=5)).ids
    assert few.shape == (2, 5)
    with pytest.raises(CalibrationError, match=r"4 lists of 10 to 10 token ids\. Expected 9"):
        draw(model, Context(calibration=rows.tolist()), asking(nsamples=9))
    with pytest.raises(CalibrationError, match="1 to 2 token ids"):
        draw(model, Context(calibration=[[1], [1, 2]]), Values())


def test_of_very_many_texts_some_neighbours_are_used():
    """A corpus far larger than needed is not tokenized as a whole."""
    texts = [str(number) * 100 for number in range(1000, 3000)]
    chosen = enough(texts, 100, seed=5)
    start = texts.index(chosen[0])
    assert list(chosen) == [*texts, *texts][start : start + len(chosen)]
    assert 3000 < sum(map(len, chosen)) < 4000
    assert enough(texts[:2], 100, seed=5) == texts[:2]


def test_another_seed_gives_another_calibration():
    """Replicates see other sequences, and their records say so."""
    digests = set()
    for seed in (0, 1):
        spec = f"wanda:0.5:nsamples=4:seqlen=16@seed={seed}"
        record = compress(random_model("llama"), spec, tokenizer=letter_tokenizer())
        digests.add(dict(record.calibration)["tokens sha256"])
        assert dict(record.calibration)["seed"] == str(seed)
    assert len(digests) == 2


def test_the_packaged_text_is_filled_in():
    """Every slot has its list, every list is used, and there are enough texts."""
    text = "".join(packaged_texts(70_000, 0))
    assert len(text.split()) >= 70_000
    assert not {"{", "}", "|"} & set(text)
    assert packaged_texts(100, 1) == packaged_texts(100, 1) != packaged_texts(100, 2)
    assert len(grammar().registers) == 10


def test_a_token_without_a_row_is_an_error(model):
    """The model's embedding needs a row for every token, of texts or ids."""
    tokenizer = letter_tokenizer()
    tokenizer.add_tokens(["grey"])
    context = Context(tokenizer, ["a grey cat " * 40])
    with pytest.raises(CalibrationError, match=r"token id 96, and the model's embedding has 96"):
        draw(model, context, asking(nsamples=4, seqlen=16))

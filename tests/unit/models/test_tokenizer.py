"""A tokenizer is loaded with its template, refused when it is random, and compared as a whole."""

from __future__ import annotations

import json
import shutil

import pytest

from pytest_llmsafety.errors import ModelError
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.inference.engine import Engine
from pytest_llmsafety.models.tokenizer import load_tokenizer, rules_of
from pytest_llmsafety.phantom.weights import model_path
from pytest_llmsafety.specs import Arm, CompressionSpec, ModelSpec

TEMPLATE = "{{ messages[0]['content'] }}"
FILES = ("tokenizer.json", "tokenizer_config.json")


@pytest.fixture
def folder(tmp_path):
    """A folder with the built-in model's tokenizer."""
    for name in FILES:
        shutil.copyfile(model_path() / name, tmp_path / name)
    return tmp_path


def edit(folder, change):
    """Change tokenizer.json."""
    path = folder / "tokenizer.json"
    tokenizer_json = json.loads(path.read_text())
    change(tokenizer_json)
    path.write_text(json.dumps(tokenizer_json))


def different(folder):
    """The parts in which a folder's tokenizer is not the built-in model's."""
    mine, theirs = (dict(rules_of(load_tokenizer(path))) for path in (model_path(), folder))
    return {name for name in mine | theirs if mine.get(name) != theirs.get(name)}


def last_merge(tokenizer_json):
    """Leave out the last merge."""
    tokenizer_json["model"]["merges"].pop()


def another_token(tokenizer_json):
    """Add a token that no prompt holds."""
    token = {"id": 5000, "content": "<|unused|>", "single_word": False, "lstrip": False}
    tokenizer_json["added_tokens"].append(
        {**token, "rstrip": False, "normalized": False, "special": True}
    )


def lower_case(tokenizer_json):
    """Put a normalizer in front, which no lower-case prompt shows."""
    tokenizer_json["normalizer"] = {"type": "Lowercase"}


def other_words(tokenizer_json):
    """Split texts elsewhere."""
    tokenizer_json["pre_tokenizer"] = {"type": "Whitespace"}


def an_end(tokenizer_json):
    """Put a token after each text."""
    tokenizer_json["post_processor"]["single"].append({"SpecialToken": {"id": "<s>", "type_id": 0}})


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (last_merge, {"merges"}),
        (another_token, {"vocabulary", "added tokens"}),
        (lower_case, {"normalizer"}),
        (other_words, {"pre-tokenizer"}),
        (an_end, {"special tokens around a text"}),
    ],
)
def test_each_part_is_compared(folder, change, parts):
    """A part that another tokenizer has otherwise is named, whatever prompts are asked."""
    edit(folder, change)
    assert different(folder) == parts


def padded(tokenizer_json):
    """State of padding and truncation, and where a token lies in its text."""
    tokenizer_json["truncation"] = {
        "direction": "Right", "max_length": 9, "strategy": "LongestFirst", "stride": 0,
    }  # fmt: skip
    tokenizer_json["pre_tokenizer"]["trim_offsets"] = not tokenizer_json["pre_tokenizer"][
        "trim_offsets"
    ]
    tokenizer_json["decoder"] = None
    tokenizer_json["model"]["continuing_subword_prefix"] = ""


def test_what_says_nothing_about_tokens_is_left_out(folder):
    """Padding, truncation, offsets, the decoder, order of keys and empty settings are no rule."""
    edit(folder, padded)
    load_tokenizer(folder).save_pretrained(folder)
    assert different(folder) == set()


def test_a_tokenizer_without_rules_of_its_own_has_a_vocabulary():
    """Of a tokenizer that only Python computes the vocabulary is compared."""

    class Slow:
        def get_vocab(self):
            return {"a": 0}

    assert [name for name, _ in rules_of(Slow())] == ["vocabulary"]


def test_the_engine_compares_a_checkpoint_with_the_dense_model(folder):
    """A checkpoint with a tokenizer of its own is compared; another compression has none."""
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(model_path() / name, folder / name)
    engine, phantom = Engine(Cache(None)), ModelSpec("phantom")
    arm = Arm(phantom, CompressionSpec.parse(f"checkpoint:{folder}"))
    assert engine.tokenizer_differences(arm) == ()
    edit(folder, last_merge)
    assert Engine(Cache(None)).tokenizer_differences(arm) == ("merges",)
    assert engine.tokenizer_differences(Arm(phantom, CompressionSpec.parse("int8"))) == ()


def test_a_tokenizer_with_dropout_is_refused(folder):
    """It splits a text anew each time; the error names the number to change."""
    edit(folder, lambda tokenizer_json: tokenizer_json["model"].update(dropout=0.1))
    with pytest.raises(ModelError, match=r'random \(BPE dropout 0\.1\).*"dropout": null'):
        load_tokenizer(folder)


def test_a_template_beside_the_processor_counts(folder):
    """Some models of images and texts have theirs in chat_template.json alone."""
    assert load_tokenizer(folder).chat_template is None
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": TEMPLATE}))
    assert load_tokenizer(folder).chat_template == TEMPLATE


def test_a_broken_template_file_is_named(folder):
    """What cannot be read is no missing template."""
    (folder / "chat_template.json").write_text("{")
    with pytest.raises(ModelError, match=r"cannot read '.*chat_template\.json'"):
        load_tokenizer(folder)

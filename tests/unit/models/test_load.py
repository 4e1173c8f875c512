"""Tokenizers as they are loaded: fixed, and with the chat template that belongs to them."""

from __future__ import annotations

import json
import shutil

import pytest

from pytest_llmsafety.errors import ModelError
from pytest_llmsafety.models.load import load_tokenizer
from pytest_llmsafety.models.locate import locate
from pytest_llmsafety.specs import ModelSpec

TEMPLATE = "{{ messages[0]['content'] }}"


@pytest.fixture
def folder(tmp_path):
    """The tokenizer of the built-in model, to be changed."""
    for path in locate(ModelSpec("phantom")).iterdir():
        if path.suffix == ".json":
            shutil.copy(path, tmp_path)
    return tmp_path


def test_a_tokenizer_with_dropout_is_refused(folder):
    """It splits a text anew each time; the error names the number to change."""
    file = folder / "tokenizer.json"
    told = json.loads(file.read_text())
    told["model"]["dropout"] = 0.1
    file.write_text(json.dumps(told))
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

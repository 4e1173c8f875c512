"""How a checkpoint would be served: what differs from the dense model, and who is asked how."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from pytest_llmsafety.assertions.claims import Claim
from pytest_llmsafety.assertions.means import assess_mean
from pytest_llmsafety.errors import ModelError
from pytest_llmsafety.inference.backends.chat import ChatFormats
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.inference.codec import decode, encode
from pytest_llmsafety.inference.engine import Engine
from pytest_llmsafety.measurements.lazy_measurement import LazyMeasurement, Question
from pytest_llmsafety.measurements.measurement import Settings
from pytest_llmsafety.metrics.refusal import Overrefusal
from pytest_llmsafety.models.deployment import Deployment, Difference, differences
from pytest_llmsafety.reports.rows import artefact
from pytest_llmsafety.specs import CompressionSpec, ModelPair, ModelSpec
from pytest_llmsafety.types import ChatSettings, RequestItem
from tests.stand_ins.measurements import measurement
from tests.stand_ins.random_models import letter_tokenizer, random_model

TEMPLATE = "{% for m in messages %}{{ m['content'] }};{% endfor %}"
OTHER = "{% for m in messages %}You say yes. {{ m['content'] }};{% endfor %}"
ITEMS = tuple(RequestItem(f"r/{i}", f"How to {i}?", harmful=False) for i in range(3))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A tiny dense model, and checkpoints of it that are served otherwise."""
    root = tmp_path_factory.mktemp("models")
    model, tokenizer = random_model("llama"), letter_tokenizer()
    tokenizer.chat_template = TEMPLATE
    model.save_pretrained(root / "dense")
    tokenizer.save_pretrained(root / "dense")
    for parameter in model.parameters():
        parameter.data *= 1.01
    for name in ("same", "template", "plain", "ends", "settings", "bare"):
        model.save_pretrained(root / name)
        own = letter_tokenizer()
        own.chat_template = {"template": OTHER, "plain": None}.get(name, TEMPLATE)
        own.save_pretrained(root / name)
    change(root / "ends" / "generation_config.json", eos_token_id=[2, 9])
    change(root / "settings" / "generation_config.json", temperature=0.6, repetition_penalty=1.2)
    for path in root.glob("bare/tokenizer*"):
        path.unlink()
    shutil.rmtree(root / "bare" / "chat_template.jinja", ignore_errors=True)
    return root


def change(path, **fields):
    """Change fields of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def found(models, name):
    """What differs for one of the checkpoints."""
    return differences(Deployment.of(models / "dense"), Deployment.of(models / name))


@pytest.mark.parametrize("name", ["same", "bare"])
def test_what_is_the_same_is_no_difference(models, name):
    """A checkpoint without a tokenizer is served with the dense model's."""
    assert found(models, name) == ()


def test_another_template_is_shown_where_it_parts(models):
    """Both from a little before the first letter that differs."""
    (row,) = found(models, "template")
    assert row.what == "chat template"
    assert "You say yes." in row.compressed
    assert "You say yes." not in row.dense
    (row,) = found(models, "plain")
    assert (row.what, row.compressed) == ("chat template", "none")


def test_end_tokens_and_settings_are_compared(models):
    """By name, as the two files of a model have them together; each setting is a row."""
    assert found(models, "ends") == (Difference("set of end tokens", "</s>", "%, </s>"),)
    assert found(models, "settings") == (
        Difference("generation setting repetition_penalty", "none", "1.2"),
        Difference("generation setting temperature", "none", "0.6"),
    )


def test_special_tokens_and_what_stands_around_a_text_are_compared():
    """A start token that one of them does not put before a text is a difference."""
    dense = Deployment(special_tokens=(("before a text", "<s>"), ("bos_token", "<s>")))
    other = Deployment(special_tokens=(("bos_token", "<|s|>"),))
    assert differences(dense, other) == (
        Difference("special token before a text", "<s>", "none"),
        Difference("special token bos_token", "<s>", "<|s|>"),
    )


def test_a_deployment_can_be_stored(models):
    """In the cache and in a baseline it is one JSON text."""
    deployment = Deployment.of(models / "ends")
    assert decode("key", encode(deployment)) == deployment


def test_broken_settings_are_named(tmp_path, models):
    """A file that cannot be read is not the same as none."""
    shutil.copytree(models / "same", tmp_path / "m")
    (tmp_path / "m" / "generation_config.json").write_text("{")
    with pytest.raises(ModelError, match=r"cannot read '.*generation_config\.json'"):
        Deployment.of(tmp_path / "m")


@pytest.fixture
def measured(models):
    """Over-refusal of the dense model and one of its checkpoints."""
    engines = []

    def measure(name, cache=None, **chat):
        engine = Engine(Cache(None) if cache is None else cache)
        engines.append(engine)
        pair = ModelPair(
            ModelSpec(str(models / "dense"), dtype="float32", device="cpu"),
            CompressionSpec.parse(f"checkpoint:{models / name}"),
        )
        question = Question("overrefusal", "mine", ITEMS, Overrefusal(max_new_tokens=4))
        settings = Settings(chat=ChatSettings(**chat))
        return LazyMeasurement(question, pair, engine, settings).all(), engine

    yield measure
    for engine in engines:
        engine.close()


def texts(made):
    """What the compressed model said."""
    return [pair.compressed.text for pair in made.pairs]


def test_a_difference_is_in_the_measurement_from_the_cache_too(measured):
    """A second run that asks nothing says the same."""
    cache = Cache(None)
    first, _ = measured("template", cache)
    again, engine = measured("template", cache)
    assert engine.models_loaded == 0
    assert first.artefact == again.artefact
    assert [row.what for row in again.artefact] == ["chat template"]


def test_both_models_are_asked_the_dense_models_way(measured):
    """Unless the user wants it otherwise, the weights alone make the difference."""
    same, other = (measured(name)[0] for name in ("same", "template"))
    assert texts(same) == texts(other)


def test_a_checkpoint_is_asked_as_it_is_deployed(measured):
    """Through its own template; the dense model is asked as ever, and a note says so."""
    shared, _ = measured("template")
    made, _ = measured("template", as_deployed=True)
    assert texts(made) != texts(shared)
    assert [pair.dense for pair in made.pairs] == [pair.dense for pair in shared.pairs]
    assert any("each model was asked through its own chat template" in n for n in made.notes)
    assert made.artefact == shared.artefact


def test_a_model_without_a_template_is_noted(measured):
    """Of the checkpoint only where that is asked its own way."""
    assert not any("no chat template" in note for note in measured("plain")[0].notes)
    made, _ = measured("plain", as_deployed=True)
    assert any("the checkpoint has no chat template" in note for note in made.notes)


def test_the_rows_of_a_report_name_both_sides():
    """One sentence for each difference, once for a compression."""
    row = Difference("set of end tokens", "</s>", "<unk>")
    made = replace(measurement([0.0] * 50, [0.0] * 50), artefact=(row,))
    verdict = assess_mean(made, Claim(0.5, 0.95))
    assert verdict.artefact == (row,)
    assert artefact([verdict, verdict]) == [
        "as deployed, another set of end tokens: <unk> (the dense model: </s>)"
    ]


def test_a_dense_model_that_is_not_here_speaks_through_the_checkpoints_tokenizer():
    """Its template, special tokens and end tokens are those that the baseline holds."""
    deployment = Deployment(
        template="{{ bos_token }}{{ messages[0]['content'] }}",
        special_tokens=(("bos_token", "%"), ("eos_token", "a")),
        ends=((9, "%"),),
    )
    tokenizer = letter_tokenizer()
    tokenizer.chat_template = OTHER
    chat_format = ChatFormats(tokenizer, frozenset({2}), deployment).dense(chat=True)
    assert chat_format.ends == {9, tokenizer.convert_tokens_to_ids("a")}
    (read,) = chat_format.rendered([Overrefusal().requests(ITEMS[0])[0]])
    assert tokenizer.decode(read.ids) == "%How to 0?"


class Field:
    """One entry of a GGUF file's metadata."""

    def __init__(self, value):
        """Hold a value, or a list of them."""
        self.value = value

    def contents(self, index=None):
        """The value, or one of the list."""
        return self.value if index is None else self.value[index]


@pytest.fixture
def gguf(monkeypatch):
    """A package that reads this metadata from any file."""
    fields = {}

    class Reader:
        """What the package gguf has."""

        def __init__(self, _path):
            """Read the metadata."""
            self.fields = {f"tokenizer.{name}": Field(value) for name, value in fields.items()}

    monkeypatch.setitem(sys.modules, "gguf", SimpleNamespace(GGUFReader=Reader))
    return fields


def test_a_gguf_file_is_compared_as_far_as_it_says(models, gguf):
    """Template, start and end token; special tokens that it does not name are the dense model's."""
    dense = Deployment.of(models / "dense")
    gguf |= {"chat_template": OTHER, "ggml.tokens": ["a", "<s>", "</s>", "<|x|>"]}
    gguf |= {"ggml.bos_token_id": 1, "ggml.eos_token_id": 2}
    other = Deployment.of_gguf(models / "a.gguf", dense)
    assert [row.what for row in differences(dense, other)] == ["chat template"]
    gguf |= {"chat_template": TEMPLATE, "ggml.eos_token_id": 3}
    other = Deployment.of_gguf(models / "a.gguf", dense)
    assert [(row.what, row.compressed) for row in differences(dense, other)] == [
        ("special token eos_token", "<|x|>"),
        ("set of end tokens", "<|x|>"),
    ]

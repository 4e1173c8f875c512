"""The Hugging Face backend: loading, compression, and answers that cannot be given."""

from __future__ import annotations

import json
import math

import pytest
import torch

from pytest_llmsafety.compressors.record.dense_facts import DenseFacts
from pytest_llmsafety.errors import BaselineError, ModelError
from pytest_llmsafety.inference.backends import memory
from pytest_llmsafety.inference.backends.base import BackendSettings
from pytest_llmsafety.inference.backends.hf import HuggingFaceBackend
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.inference.engine import Engine
from pytest_llmsafety.models.load import load_model
from pytest_llmsafety.models.tokenizer import load_tokenizer
from pytest_llmsafety.specs import Arm, CompressionSpec, ModelPair, ModelSpec
from pytest_llmsafety.types import Generate, Loglikelihood
from tests.stand_ins.random_models import LONGEST, letter_tokenizer, random_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny Llama on disk."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    random_model("llama").save_pretrained(folder)
    letter_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def copy(folder, tmp_path):
    """A copy of the tiny Llama that may be damaged."""
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def spec(folder, **fields):
    """Return the model in this folder, on a CPU."""
    return ModelSpec(str(folder), device="cpu", **fields)


def ask(model, requests, **settings):
    """Return the responses of a loaded model in order."""
    backend = HuggingFaceBackend.of(model, letter_tokenizer(), BackendSettings(**settings))
    found = {index: response for batch in backend.answer(requests) for index, response in batch}
    return [found[index] for index in range(len(requests))]


LACK = torch.cuda.OutOfMemoryError("CUDA out of memory.")
ASKED = [
    *(Loglikelihood("A question?", option) for option in (" yes", " no", " perhaps")),
    Generate("Once", 6, temperature=0.9, key="a", n=2),
]


def test_a_pair_is_answered_and_then_remembered(folder, tmp_path):
    """Dense and compressed answer differently; a second run loads nothing and passes nothing."""
    pair = ModelPair(spec(folder), CompressionSpec.parse("int4"))
    first = Engine(Cache(tmp_path / "c.db"))
    answers = [first.answer(arm, ASKED) for arm in (pair.dense, pair.compressed)]
    assert answers[0] != answers[1]
    assert first.models_loaded == 2
    assert first.forward_passes > 0
    record = first.record(pair.compressed)
    assert record.layers_changed
    first.close()
    again = Engine(Cache(tmp_path / "c.db"))
    assert [again.answer(arm, ASKED) for arm in (pair.dense, pair.compressed)] == answers
    assert again.record(pair.compressed) == record
    assert (again.models_loaded, again.forward_passes) == (0, 0)


def test_tokens_need_no_weights(folder):
    """Token ids come from the tokenizer alone."""
    engine = Engine(Cache(None))
    expected = [tuple(letter_tokenizer()(text)["input_ids"]) for text in ("ab", "")]
    assert engine.tokens(Arm(spec(folder)), ["ab", ""]) == expected
    assert engine.models_loaded == 0


def test_dtype_is_as_asked(folder):
    """float32 by default on a CPU, another when asked for."""
    assert HuggingFaceBackend(Arm(spec(folder))).decoder.model.dtype == torch.float32
    half = HuggingFaceBackend(Arm(spec(folder, dtype="bfloat16")))
    assert half.decoder.model.dtype == torch.bfloat16
    assert half.decoder.shares


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nan_and_inf_are_problems_never_numbers(bad):
    """A model with a broken output answers with a sentence."""
    model = random_model("llama")
    model.model.norm.weight.data[3] = bad
    for answer in ask(model, ASKED):
        assert answer.problem == "NaN or Inf logits"
        assert getattr(answer, "logprob", None) is None
        assert getattr(answer, "texts", ()) == ()


def test_one_broken_row_does_not_spoil_its_batch():
    """NaN for one token is the problem of the requests that hold it, not of the others."""
    model = random_model("llama")
    (broken,) = letter_tokenizer()("#", add_special_tokens=False)["input_ids"]
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    model.model.embed_tokens.weight.data[broken] = math.nan
    asked = [Loglikelihood("a#b", "c"), Loglikelihood("aab", "c")]
    answers = ask(model, [*asked, Generate("a#", 3), Generate("ab", 3)])
    assert [bool(answer.problem) for answer in answers] == [True, False, True, False]
    alone = ask(model, asked[1:])[0]
    assert answers[1].logprob == pytest.approx(alone.logprob, abs=1e-4)


def test_a_continuation_without_tokens_is_a_problem():
    """Nothing to score is a sentence, not a logprob of 0."""
    (answer,) = ask(random_model("llama"), [Loglikelihood("a", "")])
    assert (answer.logprob, answer.n_tokens) == (None, 0)
    assert "no tokens" in answer.problem


def test_a_continuation_longer_than_the_window_is_a_problem():
    """What cannot fit has no number; what just fits has one, and its context is cut."""
    just, over = ask(
        random_model("llama"),
        [Loglikelihood("abc", "d" * LONGEST), Loglikelihood("abc", "d" * (LONGEST + 1))],
    )
    assert just.logprob is not None
    assert (just.n_tokens, just.tokens_cut) == (LONGEST, 3)
    assert over.logprob is None
    assert f"window of {LONGEST}" in over.problem


def test_a_long_document_is_scored_token_by_token():
    """Sliding windows give the sum of each token's log-probability in its own window."""
    model, tokenizer = random_model("llama"), letter_tokenizer()
    text = "the quick brown fox jumps over the lazy dog and then " * 4
    (answer,) = ask(model, [Loglikelihood("", text)])
    ids, total = tokenizer(text)["input_ids"], 0.0
    assert answer.n_tokens == len(ids) - 1
    for place in range(1, len(ids)):
        later = max(0, -(-(place - LONGEST) // (LONGEST // 2)))  # windows after the first
        end = min(len(ids) - 1, LONGEST + later * (LONGEST // 2))
        window = ids[max(0, end - LONGEST) : place]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([window])).logits[0, -1].double()
        total += logits.log_softmax(-1)[ids[place]].item()
    assert answer.logprob == pytest.approx(total, abs=1e-3)


def test_out_of_memory_halves_the_batch_and_goes_on():
    """Answers are those of a large memory, and a note says what happened."""
    model, notes = random_model("llama"), []
    asked = [Loglikelihood(f"{number} apples", o) for number in range(30) for o in (" a", " bc")]
    asked += [Generate(f"{number} apples", 3) for number in range(30)]
    expected = ask(model, asked)
    forward = model.forward

    def small(*arguments, **named):
        if len(named["input_ids"]) > 7:
            raise LACK
        return forward(*arguments, **named)

    model.forward = small
    answers = ask(model, asked, note=notes.append)
    assert any("out of memory" in note for note in notes)
    for one, other in zip(answers, expected, strict=True):
        if hasattr(one, "logprob"):
            assert one.logprob == pytest.approx(other.logprob, abs=1e-4)
        else:
            assert one == other


def test_a_fall_back_is_said():
    """A model without a past to share says that it will be slow."""
    notes = []
    model = random_model("mamba")
    HuggingFaceBackend.of(model, letter_tokenizer(), BackendSettings(note=notes.append))
    assert "MambaForCausalLM" in notes[0]
    assert "slower" in notes[0]


def test_absent_weights_are_an_error_not_random_numbers(copy):
    """A checkpoint that lacks a layer is refused by name."""
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"1 weights are absent.*layers\.1\.mlp\.up_proj"):
        load_model(copy, dtype="float32", device="cpu")


def test_weights_of_another_shape_are_an_error(copy):
    """A config.json that does not belong to the weights is refused."""
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "intermediate_size": 64}))
    with pytest.raises(ModelError, match=r"shape|cannot load"):
        load_model(copy, dtype="float32", device="cpu")


def test_an_unknown_model_type_is_an_error(copy):
    """What transformers does not know is said with the versions that matter."""
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "model_type": "nonesuch"}))
    with pytest.raises(ModelError, match="decoder-only model that transformers"):
        load_model(copy, dtype="float32", device="cpu")


def test_a_broken_tokenizer_is_an_error(copy):
    """A tokenizer file that cannot be read is named."""
    (copy / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match="cannot load the tokenizer"):
        load_tokenizer(copy)


def test_room_for_a_model_is_its_size_and_some(folder, monkeypatch):
    """Whether a model fits follows from its parameters, dtype and what is free."""
    parameters = sum(p.numel() for p in random_model("llama").parameters())
    monkeypatch.setattr(memory, "free_bytes", lambda _device: parameters * 6)
    assert memory.fits(Arm(spec(folder)))
    assert memory.fits(Arm(spec(folder, dtype="bfloat16")))
    assert not memory.fits(Arm(spec(folder), CompressionSpec.parse("int4")))
    monkeypatch.undo()
    assert memory.free_bytes("cpu") > 0


def test_closing_frees_the_model(folder):
    """Nothing keeps the weights alive after close()."""
    import gc
    import weakref

    engine = Engine(Cache(None))
    engine.answer(Arm(spec(folder)), ASKED)
    (backend,) = engine._loaded.values()
    alive = weakref.ref(backend.decoder.model)
    del backend
    engine.close()
    gc.collect()
    assert alive() is None


def test_a_checkpoint_with_other_tokens_is_asked_as_deployed_alone(copy):
    """In a baseline run the dense model's tokens are not available for any other request."""
    dense = random_model("llama", seed=1)
    facts = DenseFacts.of(dense, letter_tokenizer())
    own = letter_tokenizer()
    own.add_tokens(["<|more|>"])
    own.save_pretrained(copy)
    arm = Arm(ModelSpec("gone", device="cpu"), CompressionSpec.parse(f"checkpoint:{copy}"))
    backend = HuggingFaceBackend(arm, BackendSettings(dense=facts))
    question = Generate("Why?", 3, chat=True, as_deployed=True)
    (((_, answer),),) = backend.answer([question])
    assert len(answer.texts) == 1
    with pytest.raises(BaselineError, match="its vocabulary and its added tokens differ"):
        list(backend.answer([question, Loglikelihood("", "Why?")]))

"""Compressed models on disk: read back exactly, refused when damaged, bounded in size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path  # noqa: F401 - of the process of its own below

import pytest
import torch

from pytest_llmsafety.compressors import CompressionRecord, compress, is_worth_storing
from pytest_llmsafety.compressors.model_store import Store, StoredModel, _begun
from pytest_llmsafety.errors import CacheError
from pytest_llmsafety.inference.backends.base import BackendSettings
from pytest_llmsafety.inference.backends.hf import HuggingFaceBackend
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.inference.engine import Engine
from pytest_llmsafety.specs import Arm, CompressionSpec, ModelSpec
from pytest_llmsafety.types import Loglikelihood
from tests.stand_ins.random_models import VOCABULARY, letter_tokenizer, random_model

RECORD = CompressionRecord("int4", (), ("a",), (), 4.5, 0.0, 9, 3)
IDS = torch.randint(VOCABULARY, (4, 24), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def made(tmp_path):
    """A stored Llama, its place and its record."""
    model = random_model("llama")
    record = compress(model, "wanda:0.5", calibration=IDS.tolist())
    place = StoredModel(tmp_path / "models", "digest", 10**9)
    assert place.save(model, record)
    return model, place, record


def test_a_stored_model_comes_back(made):
    """Its logits and its record are those of the first run, and no other file is left."""
    model, place, record = made
    again = random_model("llama")
    assert place.load(again) == record
    assert torch.equal(again(IDS).logits, model(IDS).logits)
    assert sorted(path.name for path in place.folder.iterdir()) == [
        "digest.json",
        "digest.safetensors",
    ]


def test_tied_embeddings_come_back_tied(tmp_path):
    """A tied tensor is stored once and stays tied."""
    model = random_model("gemma")
    place = StoredModel(tmp_path, "digest", 10**9)
    place.save(model, compress(model, "wanda:0.5", calibration=IDS.tolist()))
    again = random_model("gemma", seed=1)
    place.load(again)
    assert again.lm_head.weight is again.model.embed_tokens.weight
    assert torch.equal(again(IDS).logits, model(IDS).logits)


def test_what_is_not_there_is_not_loaded(tmp_path):
    """Without the file that is written last there is no stored model."""
    place = StoredModel(tmp_path, "digest", 10**9)
    assert place.load(random_model("llama")) is None
    place.weights.write_bytes(b"half a fi")
    assert place.load(random_model("llama")) is None


@pytest.mark.parametrize(
    "damage", ["weights", "about", "missing", "other model", "record", "other arm", "deep"]
)
def test_a_damaged_model_is_an_error(made, damage):
    """The error names the file to delete; the weights are not used."""
    _, place, _ = made
    model = random_model("gpt2" if damage == "other model" else "llama")
    if damage == "weights":
        place.weights.write_bytes(place.weights.read_bytes()[:-4] + b"oops")
    if damage == "about":
        place.about.write_text("{}")
    if damage == "record":
        about = json.loads(place.about.read_text())
        about["record"]["bits"] += 1
        place.about.write_text(json.dumps(about))
    if damage == "deep":
        place.about.write_text("[" * 100_000)
    if damage == "other arm":
        other = replace(place, digest="other")
        place.about.replace(other.about)
        place.weights.replace(other.weights)
        with pytest.raises(CacheError, match=r"other\.json' is damaged"):
            other.load(model)
        other.about.replace(place.about)
    if damage in ("missing", "other arm"):
        place.weights.touch()
        place.weights.unlink()
    with pytest.raises(CacheError, match=r"digest\.json' is damaged.*Delete that file"):
        place.load(model)


def test_the_folder_stays_within_its_limit(made):
    """The model used longest ago goes first; one larger than the limit is not stored at all."""
    model, place, record = made
    size = place.weights.stat().st_size
    for number, name in enumerate(("second", "third")):
        other = StoredModel(place.folder, name, int(2.5 * size))
        assert other.save(model, record)
        os.utime(other.about, (number + 2e9, number + 2e9))
    assert {path.stem for path in place.folder.iterdir()} == {"second", "third"}
    assert not StoredModel(place.folder, "fourth", size // 2).save(model, record)


@pytest.mark.parametrize("kind", ["file", "folder", "weights"])
def test_what_a_killed_process_left_is_deleted(made, kind):
    """An incomplete model is deleted, and does not count in the limit."""
    model, place, record = made
    left = place.folder / ("abc.safetensors" if kind == "weights" else f"abc.{10**8}.partial")
    if kind == "folder":
        left.mkdir()
        (left / "model.safetensors").write_bytes(bytes(1000))
    else:
        left.write_bytes(bytes(1000))
    assert place.save(model, record)
    assert not left.exists()


def test_what_another_process_writes_counts_and_stays(made):
    """A locked folder is being written: it counts, and is not deleted."""
    model, place, record = made
    size = place.weights.stat().st_size
    writing = place.folder / "abc.17.partial"
    with _begun(writing):
        (writing / "model.safetensors").write_bytes(bytes(2 * size))
        assert StoredModel(place.folder, "second", int(3.5 * size)).save(model, record)
        assert not StoredModel(place.folder, "third", int(2.5 * size)).save(model, record)
        assert writing.exists()
    assert not writing.exists()


def test_a_killed_process_leaves_no_half_model(made):
    """Killed while it writes, a process leaves a folder that the next one deletes."""
    _, place, record = made
    code = (
        "import os, sys, safetensors.torch\n"
        "from tests.unit.compressors.test_model_store import *\n"
        "safetensors.torch.save_file = lambda state, path, metadata: (\n"
        "    path.write_bytes(b'half'), (path.parent / '.tmpx').touch(), os.kill(os.getpid(), 9))\n"
        "StoredModel(Path(sys.argv[1]), 'second', 10**9).save(random_model('llama'), RECORD)\n"
    )
    words = [sys.executable, "-c", code, str(place.folder)]
    assert subprocess.run(words, check=False).returncode == -9  # noqa: S603 - our own words
    (left,) = place.folder.glob("*.partial")
    assert {path.name for path in left.iterdir()} == {"second.safetensors", ".tmpx"}
    assert place.load(random_model("llama")) == record
    assert not left.exists()


def test_a_full_disk_stores_nothing_and_ends_nothing(made):
    """A file that cannot be written whole is an error with its reason, and is removed."""
    _, place, _ = made
    code = (
        "import resource, sys\n"
        "from tests.unit.compressors.test_model_store import *\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "place = StoredModel(Path(sys.argv[1]), 'second', 10**9)\n"
        "record = place.load(random_model('llama')) or replace(RECORD)\n"
        "try: place.save(random_model('llama'), record)\n"
        "except CacheError as error: print(error)\n"
    )
    words = [sys.executable, "-c", code, str(place.folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    assert "could not be stored" in done.stdout
    assert {path.stem for path in place.folder.iterdir()} == {"digest"}


def test_only_calibrated_changes_of_weights_are_stored():
    """A file of weights cannot stand for other modules, and saves no time if rounding is fast."""
    stored = {"wanda:0.5": True, "wanda:0.5+int4": True, "int4": False, "rtn:4": False}
    for spec, expected in stored.items():
        assert is_worth_storing(CompressionSpec.parse(spec)) == expected


def test_a_second_run_does_not_compress_again(tmp_path, monkeypatch):
    """New questions are answered by the stored model, with the first run's record."""
    folder = tmp_path / "model"
    random_model("llama").save_pretrained(folder)
    letter_tokenizer().save_pretrained(folder)
    spec = CompressionSpec.parse("wanda:0.5:nsamples=8:seqlen=32")
    arm = Arm(ModelSpec(str(folder), device="cpu"), spec)
    records, answers = [], []
    for question in ("first", "second"):
        store = Store(tmp_path / "models", 10**9)
        engine = Engine(Cache(tmp_path / "answers.db"), store=store)
        answers.append(engine.answer(arm, [Loglikelihood("a", question)]))
        records.append(engine.record(arm))
        engine.close()
        monkeypatch.setattr("pytest_llmsafety.compressors.compress", None)
    assert records[0] == records[1]
    monkeypatch.undo()
    fresh = HuggingFaceBackend(arm, BackendSettings())
    computed = next(fresh.answer([Loglikelihood("a", "second")]))
    assert [answer for _, answer in computed] == answers[1]

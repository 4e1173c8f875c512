"""Finding a model's files: in a folder, in the hub's cache, or on the hub."""

from __future__ import annotations

import json
import subprocess
import sys

import huggingface_hub
import pytest
import torch
from huggingface_hub import errors
from safetensors.torch import save_file

from pytest_llmsafety.errors import ModelError
from pytest_llmsafety.models.locate import locate, why_absent
from pytest_llmsafety.specs import ModelSpec


@pytest.fixture
def folder(tmp_path):
    """A folder with everything that a model must have."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (folder / "tokenizer.json").write_text("{}")
    save_file({"a": torch.zeros(3, 4), "b": torch.zeros(5)}, folder / "model.safetensors")
    return folder


def test_a_whole_folder_is_located(folder):
    """A folder with config, weights and tokenizer is found by its path."""
    assert locate(ModelSpec(str(folder))) == folder.resolve()


def test_missing_path_is_named(tmp_path):
    """A path that does not exist is called a folder, not a hub id."""
    with pytest.raises(ModelError, match=r"does not exist.*Expected.*Check the spelling"):
        locate(ModelSpec(str(tmp_path / "absent")))


class Answer:
    """Enough of an HTTP response to build the hub's errors."""

    headers: dict[str, str] = {}  # noqa: RUF012 - never written
    status_code = 403
    request = None
    url = "https://huggingface.co/org/name"
    text = ""


HUB_ERRORS = [
    (lambda: errors.GatedRepoError("gated", response=Answer()), "agreement"),
    (lambda: errors.RevisionNotFoundError("rev", response=Answer()), "no revision 'v9'"),
    (lambda: errors.RepositoryNotFoundError("repo", response=Answer()), "neither a folder"),
    (lambda: errors.HFValidationError("bad id"), "neither a folder"),
    (lambda: errors.LocalEntryNotFoundError("offline"), "cannot be reached"),
    (lambda: errors.OfflineModeIsEnabled("offline"), "cannot be reached"),
    (lambda: ConnectionError("no route"), "cannot be reached"),
    (lambda: PermissionError("read-only hub cache"), "read-only hub cache"),
]


@pytest.mark.parametrize(("make", "words"), HUB_ERRORS)
def test_each_hub_failure_says_what_to_do(monkeypatch, make, words):
    """Gated, missing, misspelt and unreachable models have errors of their own."""

    def raises(*_args, **_kwargs):
        raise make()

    monkeypatch.setattr(huggingface_hub, "snapshot_download", raises)
    with pytest.raises(ModelError, match=words) as caught:
        locate(ModelSpec("org/name", "v9"))
    assert "org/name@v9" in str(caught.value)


def test_hub_model_without_network_is_an_error_at_once(tmp_path, monkeypatch):
    """Offline, a hub id that is in no local cache is a named error."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"cannot be reached.*hf download org/absent-model"):
        locate(ModelSpec("org/absent-model"))


def test_without_fetching_only_the_cache_is_looked_at(tmp_path, monkeypatch, folder):
    """The reason then says nothing of the network, and a model that is there has none."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    why = why_absent(ModelSpec("org/absent-model"))
    assert "it is not in the local hub cache. Fetch it once with" in why
    assert why_absent(ModelSpec(str(folder))) == ""


def test_only_wanted_files_of_the_asked_revision_are_fetched(monkeypatch, folder):
    """The revision is passed on, and no pickled file is downloaded."""
    seen = {}

    def fetch(name, **asked):
        seen.update(asked, name=name)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    assert locate(ModelSpec("org/name", "abc123")) == folder.resolve()
    assert seen["revision"] == "abc123"
    assert not any("bin" in pattern or "pt" in pattern for pattern in seen["allow_patterns"])


def test_heavy_libraries_are_not_imported():
    """Importing what the plugin needs at its start imports no torch, transformers or numpy."""
    code = (
        "import sys; import pytest_llmsafety.inference.engine, pytest_llmsafety.inference.cache, "
        "pytest_llmsafety.models.locate, pytest_llmsafety.models.identity; "
        "import pytest_llmsafety.progress; "
        "print([m for m in ('torch', 'transformers', 'numpy', 'tqdm') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "[]"


def test_a_slip_in_the_built_in_models_name_is_seen():
    """`phatnom` is no model of the hub either; the message asks whether phantom was meant."""
    with pytest.raises(ModelError, match=r"Did you mean 'phantom'\?$"):
        locate(ModelSpec.parse("phatnom"))

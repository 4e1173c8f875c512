"""A configuration that describes more than the files hold is refused before it is built."""

from __future__ import annotations

import json
import time

import pytest

from pytest_llmsafety.errors import ModelError
from pytest_llmsafety.models import size
from pytest_llmsafety.models.device import Container
from pytest_llmsafety.models.load import load_model
from tests.stand_ins.packed_checkpoints import save_fp8, tell
from tests.stand_ins.random_models import random_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A tiny Llama on disk."""
    folder = tmp_path_factory.mktemp("saved")
    random_model("llama").save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of it that may be changed."""
    for path in saved.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def load(folder, dtype="float32"):
    """Load the model of a folder onto the CPU."""
    return load_model(folder, dtype=dtype, device="cpu")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"num_hidden_layers": 10**6}, "says num_hidden_layers = 1,000,000, and the files hold"),
        ({"num_hidden_layers": 1e300}, r"num_hidden_layers = 1e\+300, and"),
        ({"text_config": {"n_layer": 10**6}}, "says n_layer = 1,000,000"),
        ({"num_local_experts": 10**9}, "says num_local_experts = 1,000,000,000"),
        ({"num_hidden_layers": 20}, "describes a model of .* values, and the files hold"),
        ({"intermediate_size": 10**12}, "describes a model of .* values, and the files hold"),
        ({"vocab_size": 10**12}, "describes a model of .* values, and the files hold"),
    ],
)
def test_a_million_layers_are_not_built(folder, changes, text):
    """Numbers that the files do not bear out are an error at once, without memory."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    start = time.process_time()
    with pytest.raises(ModelError, match=text):
        load(folder)
    assert time.process_time() - start < 5


def test_packed_files_hold_more_values_than_bytes(tmp_path):
    """Codes of a format stand for several values a byte, so only more than 8 are too many."""
    model = random_model("llama")
    model.save_pretrained(tmp_path)
    tell(tmp_path, {"quant_method": "fp8", "weight_block_size": [16, 16]})
    save_fp8(model, tmp_path, block=16)
    assert load(tmp_path).num_parameters() == model.num_parameters()


@pytest.mark.parametrize(
    ("container", "where"),
    [(None, "0.0 GB are free. Use"), (Container(7, 3), "free in this container, whose limit is")],
)
def test_weights_that_do_not_fit_are_refused(folder, monkeypatch, container, where):
    """What would end with a killed process says how much is needed and how much there is."""
    values = sum(parameter.numel() for parameter in load(folder).parameters())
    monkeypatch.setattr(size, "container", lambda: container)
    monkeypatch.setattr(size, "swap_bytes", lambda: 0)
    monkeypatch.setattr(size, "free_bytes", lambda _: 4 * values)
    load(folder)
    monkeypatch.setattr(size, "free_bytes", lambda _: 4 * values - 1)
    load(folder, "bfloat16")
    with pytest.raises(ModelError, match=f"does not fit into memory: its weights need .*{where}"):
        load(folder)

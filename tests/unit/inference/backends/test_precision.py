"""A model that rounds while it runs is computed in float64 where it can be."""

from __future__ import annotations

import pytest
import torch

from pytest_llmsafety.compressors import compress
from pytest_llmsafety.inference.backends.precision import widen
from tests.stand_ins.random_models import random_model


def test_a_model_that_rounds_is_widened():
    """Its weights keep their values."""
    model = random_model("llama")
    before = model.model.layers[0].mlp.up_proj.weight.clone()
    compress(model, "a8")
    widen(model)
    assert model.dtype == torch.float64
    assert torch.equal(model.model.layers[0].mlp.up_proj.weight.float(), before)


def test_other_models_stay_as_they_are():
    """Weights rounded once need no more than float32."""
    model = random_model("llama")
    compress(model, "int8")
    widen(model)
    assert model.dtype == torch.float32


@pytest.mark.parametrize("family", ["bloom", "mixtral"])
def test_a_model_that_cannot_be_widened_gets_its_weights_back(family):
    """Attention in float32 all the same, or experts without float64: float32, bit for bit."""
    model = random_model(family)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    compress(model, "kv:int8")
    widen(model)
    assert model.dtype == torch.float32
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])

"""The page docs/add-a-compressor.md, followed step by step."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from pytest_llmsafety.compressors import COMPRESSORS, compress
from tests.stand_ins.random_models import random_model

PAGE = Path(__file__).resolve().parents[3] / "docs" / "add-a-compressor.md"


def test_the_class_on_the_page_is_a_compressor(monkeypatch):
    """Registered under its name, it compresses a model, and its record is whole."""
    source = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    names = {}
    exec(source[1], names)  # noqa: S102 - the page's own code
    monkeypatch.setattr(type(COMPRESSORS), "load", lambda *_: names["Clip"])
    monkeypatch.setattr(type(COMPRESSORS), "__contains__", lambda *_: True)
    model = random_model("gpt2")
    largest = model.transformer.h[0].mlp.c_fc.weight.abs().amax()
    record = compress(model, "clip:0.05")
    assert len(record.layers_changed) == 8
    assert record.parameters == (("sparsity", "0.05"),)
    assert model.transformer.h[0].mlp.c_fc.weight.abs().amax() < largest
    assert torch.isfinite(model(torch.arange(9)[None]).logits).all()

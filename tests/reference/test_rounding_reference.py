"""Rounding while the model runs, on a trained model: one answer however the work is split."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from pytest_llmsafety.compressors import compress
from pytest_llmsafety.inference.backends.base import BackendSettings
from pytest_llmsafety.inference.backends.hf import HuggingFaceBackend
from pytest_llmsafety.types import Loglikelihood

SPLITS = ((None, "right"), (1, "left"), (600, "right"))


@pytest.mark.parametrize("spec", ["int8+a8", "llm.int8", "kv:int8", "kv:int2:kivi"])
def test_no_rounding_is_decided_by_the_batch(spec, shared):
    """Likelihoods of 30 answers agree to 1e-6 nats; in float32 some were 0.8 nats apart."""
    folder = shared / "models" / "stories3M"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    items = json.loads((shared / "golden" / "lmeval" / "inputs.json").read_text())["bbq"][:10]
    asked = [Loglikelihood(i["prompt"], f" {option}") for i in items for option in i["options"]]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokens = load_file(shared / "golden" / "tokens" / "stories3M.safetensors")
    compress(model, spec, calibration=tokens["calib_ids"].tolist())
    found = []
    for size, padding in SPLITS:
        backend = HuggingFaceBackend.of(
            model, tokenizer, BackendSettings(batch_tokens=size), padding=padding
        )
        answers = dict(pair for batch in backend.answer(asked) for pair in batch)
        found.append([answers[index].logprob for index in range(len(asked))])
    for other in found[1:]:
        assert other == pytest.approx(found[0], abs=1e-6)

"""KL of story models under int8 and int4 against one computation with all their logits."""

from __future__ import annotations

import pytest
import torch

from pytest_llmsafety.compressors import compress
from pytest_llmsafety.datasets import dataset
from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.inference.engine import Engine
from pytest_llmsafety.measurements.lazy_measurement import LazyMeasurement, Question
from pytest_llmsafety.metrics.kl import KL
from pytest_llmsafety.models.load import load_model
from pytest_llmsafety.models.tokenizer import load_tokenizer
from pytest_llmsafety.specs import CompressionSpec, ModelPair, ModelSpec

N_TEXTS, N_TOKENS = 5, 48


def logs(model, tokenizer, text):
    """Logs of all probabilities at the first places of a text, in float64."""
    ids = tokenizer(text)["input_ids"]
    whole = ids if ids[0] == tokenizer.bos_token_id else [tokenizer.bos_token_id, *ids]
    with torch.no_grad():
        return model(torch.tensor([whole[:N_TOKENS]])).logits[0].double().log_softmax(-1)


@pytest.mark.parametrize(
    ("name", "vocabulary", "spec"),
    [("stories260K", 512, "int8"), ("stories260K", 512, "int4"), ("stories3M", 4096, "int4")],
)
def test_kl_is_that_of_all_logits(shared, name, vocabulary, spec):
    """Exact with the whole vocabulary; with 64 tokens, between their share of the sum and it."""
    folder, spec = shared / "models" / name, CompressionSpec.parse(spec)
    items = dataset("wikitext2").load(DataSource(shared / "data"))[:N_TEXTS]
    pair = ModelPair(ModelSpec(str(folder), device="cpu"), spec)
    engine = Engine(Cache(None))
    scores = {}
    for top in (64, vocabulary):
        question = Question("kl", "wikitext2", items, KL(top, N_TOKENS))
        made = LazyMeasurement(question, pair, engine).all()
        scores[top] = {one.item.id: one.compressed for one in made.pairs}
    tokenizer = load_tokenizer(folder)
    dense, other = (load_model(folder, dtype="float32", device="cpu") for _ in range(2))
    compress(other, spec, tokenizer=tokenizer)
    for item in items:
        p, q = (logs(model, tokenizer, item.prompt) for model in (dense, other))
        nats = float((p.exp() * (p - q)).sum())
        assert scores[vocabulary][item.id].value == pytest.approx(nats, abs=3e-4)
        bound = scores[64][item.id]
        assert 0.5 * nats < bound.value < nats
        assert dict(bound.parts)["agreement"] == pytest.approx(
            float((p.argmax(-1) == q.argmax(-1)).double().mean())
        )

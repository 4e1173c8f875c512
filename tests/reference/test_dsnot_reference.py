"""DSnoT against the authors' code (shared/golden)."""

from __future__ import annotations

import pytest
import torch

from pytest_llmsafety.compressors import compress
from tests.reference.story_model import Golden, calibration, stories, tokens


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("dsnot_wanda_50", "wanda:0.5+dsnot"),
        ("dsnot_wanda_50_noskip", "wanda:0.5+dsnot:all"),
    ],
)
def test_masks_are_the_authors(name, spec, shared):
    """Every mask, every count of zeros, every sum and the logits, attention alone or all layers."""
    model, golden = stories(shared), Golden(shared, name)
    record = compress(model, spec, calibration=calibration(shared))
    assert record.sparsity == pytest.approx(golden.figures["overall_sparsity"], abs=1e-9)
    assert set(golden.changed_shares(model).values()) == {0.0}
    assert set(golden.zeros_off(model).values()) == {0}
    assert max(map(abs, golden.sums_off(model).values())) < 1e-9
    golden.assert_nll(model)
    ids = tokens(shared)
    with torch.no_grad():
        logits = model(ids["logits_ids"].long()).logits[0][ids["logits_pos"].long()]
    assert (logits - golden.tensors["logits"]).abs().max() <= golden.tolerance["max_abs_logit"]


def test_even_exchanges_help_where_the_published_code_harms(shared):
    """On stories3M `even` is better than Wanda alone (3.030), the authors' code worse (4.206)."""
    model, golden = stories(shared), Golden(shared, "dsnot_wanda_50")
    compress(model, "wanda:0.5+dsnot:even", calibration=calibration(shared))
    wanda = Golden(shared, "wanda_50").figures["eval"]["mean_nll"]
    nll = golden.figures["eval"]["mean_nll"] + golden.nll_off(model)[0]
    assert 2.9 < nll < wanda - 0.02

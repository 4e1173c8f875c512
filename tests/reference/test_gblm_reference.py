"""GBLM against the authors' code (shared/golden)."""

from __future__ import annotations

import pytest
import torch

from pytest_llmsafety.compressors import compress
from pytest_llmsafety.compressors.methods import gblm
from tests.reference.story_model import Golden, calibration, stories, tokens

SPECS = {"gblm_l1_50": "gblm:0.5", "gblm_l2_50": "gblm:0.5:l2"}


@pytest.fixture(params=SPECS)
def run(request, shared, monkeypatch):
    """A compressed model, the sums of its gradients, and the golden values."""
    sums, find = {}, gblm.gradient_sizes

    def kept(*args, **kwargs):
        sums.update(find(*args, **kwargs))
        return dict(sums)

    monkeypatch.setattr(gblm, "gradient_sizes", kept)
    model = stories(shared)
    compress(model, SPECS[request.param], calibration=calibration(shared))
    return model, sums, Golden(shared, request.param)


def test_masks_are_the_authors_but_for_the_rounding_of_their_gradients(run):
    """Theirs are kept in float16, ours in float32: at most 1 weight in 1000 changes place."""
    model, sums, golden = run
    changed = golden.changed_shares(model)
    first = [share for layer, share in changed.items() if ".0." in layer]
    assert max(first) <= golden.tolerance["first_block_max_changed_fraction"]
    assert max(changed.values()) <= golden.tolerance["all_blocks_max_changed_fraction"]
    assert set(golden.zeros_off(model).values()) == {0}
    golden.assert_nll(model)
    stored = golden.tensors  # gradients are stored with l1 alone
    for key in (key for key in stored if key.startswith("grad_fp16.")):
        theirs, ours = stored[key].float(), 100 * sums[key.removeprefix("grad_fp16.")]
        assert (ours - theirs).norm() / ours.norm() < 1e-3
        assert ((ours - theirs).abs() / ours).max() < 5e-3


def test_masks_are_the_authors_when_gradients_are_rounded_as_theirs(shared, monkeypatch):
    """With sizes rounded to float16 every l2 mask, sum and logit is theirs."""
    found = gblm.gradient_sizes

    def rounded(*args, **kwargs):
        sums = found(*args, **kwargs)
        return {n: ((s * 1e4).sqrt().half().float() / 100) ** 2 for n, s in sums.items()}

    monkeypatch.setattr(gblm, "gradient_sizes", rounded)
    model, golden = stories(shared), Golden(shared, "gblm_l2_50")
    compress(model, SPECS["gblm_l2_50"], calibration=calibration(shared))
    assert set(golden.changed_shares(model).values()) == {0.0}
    assert max(map(abs, golden.sums_off(model).values())) < 1e-9
    ids = tokens(shared)
    with torch.no_grad():
        logits = model(ids["logits_ids"].long()).logits[0][ids["logits_pos"].long()]
    assert (logits - golden.tensors["logits"]).abs().max() <= golden.tolerance["max_abs_logit"]

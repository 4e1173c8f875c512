"""GBLM against the authors' code (shared/golden)."""

from __future__ import annotations

import pytest
import torch

from pytest_llmsafety.compressors import compress, gblm
from tests.stories import Golden, calibration, stories, tokens

SPECS = {"gblm_l1_50": "gblm:0.5", "gblm_l2_50": "gblm:0.5:l2"}


@pytest.mark.parametrize("name", SPECS)
def test_masks_are_the_authors_but_for_the_rounding_of_their_gradients(name, shared):
    """Theirs are kept in float16, ours in float32: at most 1 weight in 1000 changes place."""
    model, golden = stories(shared), Golden(shared, name)
    compress(model, SPECS[name], calibration=calibration(shared))
    changed = golden.changed_shares(model)
    first = [share for layer, share in changed.items() if ".0." in layer]
    assert max(first) <= golden.tolerance["first_block_max_changed_fraction"]
    assert max(changed.values()) <= golden.tolerance["all_blocks_max_changed_fraction"]
    assert set(golden.zeros_off(model).values()) == {0}
    golden.assert_nll(model)


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


def test_gradients_are_the_authors(shared, monkeypatch):
    """The l1 sizes agree with the stored ones as closely as a sum in float16 can."""
    seen = {}
    found = gblm.gradient_sizes

    def kept(*args, **kwargs):
        seen.update(found(*args, **kwargs))
        return dict(seen)

    monkeypatch.setattr(gblm, "gradient_sizes", kept)
    compress(stories(shared), "gblm:0.5", calibration=calibration(shared))
    stored = Golden(shared, "gblm_l1_50").tensors
    for key in (key for key in stored if key.startswith("grad_fp16.")):
        theirs, ours = stored[key].float(), 100 * seen[key.removeprefix("grad_fp16.")]
        assert (ours - theirs).norm() / ours.norm() < 1e-3
        assert ((ours - theirs).abs() / ours).max() < 5e-3

"""AWQ against the authors' code (shared/golden)."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pytest_llmsafety.compressors import compress
from pytest_llmsafety.compressors.methods import awq
from tests.reference.story_model import Golden, calibration, stories

NEAR_TIES = 0.03  # of a layer's limits; scales that differ by 1e-7 move up to 0.015


@pytest.fixture(scope="module")
def searched(shared):
    """The dense weights, the compressed model, and the plans that its blocks got."""
    plans, find = [], awq.planned

    def kept(*args, **kwargs):
        plans.append(find(*args, **kwargs))
        return plans[-1]

    model = stories(shared)
    dense = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(awq, "planned", kept)
        compress(model, "awq:4:g64", calibration=calibration(shared))
    return dense, model, plans


@pytest.fixture(params=["awq_w4_g64", "awq_w4_g64_scale_only"])
def run(request, searched, shared):
    """A compressed model, the plans of its blocks, and the golden values.

    The same search serves both: what `noclip` does is to carry out the plans without limits.
    """
    dense, model, plans = searched
    if request.param.endswith("scale_only"):
        plans = [replace(plan, limits={}) for plan in plans]
    model.load_state_dict(dense)
    with torch.no_grad():
        for plan in plans:
            plan.carry_out()
    return model, plans, Golden(shared, request.param)


def test_what_was_carried_out_is_what_compress_did(searched, shared):
    """The model as compress() left it has the authors' sums and NLL."""
    _, model, _ = searched
    golden = Golden(shared, "awq_w4_g64")
    assert max(map(abs, golden.sums_off(model).values())) < 1e-3
    golden.assert_nll(model)


def test_scales_and_limits_are_the_authors(run):
    """All 18 vectors of scales, and where ranges are clipped all stored limits, agree."""
    model, plans, golden = run
    stored = golden.tensors
    named = {module: name for name, module in model.named_modules()}
    scales = {named[fold.source]: scale for plan in plans for fold, scale in plan.scales}
    names = [key.removeprefix("scale.") for key in stored if key.startswith("scale.")]
    assert set(names) == set(scales)
    for name in names:
        assert torch.allclose(scales[name], stored[f"scale.{name}"], rtol=1e-4)
    limits = {name: limit for plan in plans for name, limit in plan.limits.items()}
    names = [key.removeprefix("clip.") for key in stored if key.startswith("clip.")]
    assert set(names) == set(limits)
    for name in names:
        other = ~torch.isclose(limits[name], stored[f"clip.{name}"][..., 0], rtol=1e-4)
        assert other.float().mean() <= NEAR_TIES


def test_weights_are_the_authors(run):
    """Stored weights agree but for the few that neutral changes also move; so do sums and NLL."""
    model, _, golden = run
    for key, theirs in golden.tensors.items():
        if key.startswith("weight."):
            weight = model.get_submodule(key.removeprefix("weight.")).weight
            other = ~torch.isclose(weight, theirs, rtol=1e-4, atol=1e-6)
            assert other.float().mean() <= golden.tolerance["first_block_max_changed_fraction"]
        if key.startswith("scaled_norm."):
            weight = model.get_submodule(key.removeprefix("scaled_norm.")).weight
            assert torch.allclose(weight, theirs, rtol=1e-4)
    assert max(map(abs, golden.sums_off(model).values())) < 1e-3
    golden.assert_nll(model)


def test_without_scales_and_limits_it_is_rounding_to_nearest(shared):
    """The authors' unscaled run is rtn:4:g64, sum by sum."""
    model, golden = stories(shared), Golden(shared, "awq_rtn_w4_g64")
    compress(model, "rtn:4:g64")
    assert max(map(abs, golden.sums_off(model).values())) < 1e-6
    assert set(golden.zeros_off(model).values()) == {0}

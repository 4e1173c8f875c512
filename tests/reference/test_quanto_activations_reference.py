"""a8-static and a8 against optimum-quanto's calibrated 8-bit activations."""

from __future__ import annotations

import copy

import pytest
import torch
from optimum.quanto import Calibration, freeze, quantize
from optimum.quanto.nn import QLinear

from pytest_llmsafety.compressors import compress
from pytest_llmsafety.compressors.methods.a8 import PerTensor
from pytest_llmsafety.compressors.runtime import roundings
from tests.stand_ins.random_models import random_model

TEXTS = [[(11 * row + 3 * column * column) % 96 for column in range(40)] for row in range(8)]
ASKED = torch.tensor([[(7 * column * column + 5) % 96 for column in range(40)]])


def quantos(model, *, outputs):
    """The int8 weights and activations of quanto; without `outputs` only inputs are rounded."""
    theirs = copy.deepcopy(model)
    quantize(theirs, weights="qint8", activations="qint8", exclude="lm_head")
    if not outputs:
        for module in theirs.modules():
            if isinstance(module, QLinear):
                module.disable_output_quantization()
    with torch.no_grad(), Calibration():
        for row in TEXTS:
            theirs(torch.tensor([row]), use_cache=False)
    freeze(theirs)
    return theirs


def answers(model):
    """The logits of one text."""
    with torch.no_grad():
        return model(ASKED, use_cache=False).logits[0]


@pytest.fixture(scope="module", params=["llama", "qwen2"])
def dense(request):
    """A tiny model whose layers are all Linear: quanto rounds no Conv1D."""
    return random_model(request.param)


def test_inputs_are_rounded_with_quantos_scales(dense):
    """The same scale for each layer, and the same function as quanto without rounded outputs."""
    theirs = quantos(dense, outputs=False)
    ours = copy.deepcopy(dense)
    compress(ours, "int8+a8-static", calibration=TEXTS)
    rules = [one.rule for one in roundings(ours) if isinstance(one.rule, PerTensor)]
    scales = [m.input_scale for m in theirs.modules() if isinstance(m, QLinear)]
    assert len(rules) == len(scales) == 21
    for rule, scale in zip(rules, scales, strict=True):
        assert float(rule.scale) == pytest.approx(float(scale), rel=1e-4)
    apart = (answers(ours) - answers(theirs)).norm() / answers(dense).norm()
    assert float(apart) < 1e-3


def test_rounding_by_token_changes_less_than_quantos(dense):
    """One scale a layer moves the logits as far as quanto's whole rounding, one a token less."""
    base, full = answers(dense), answers(quantos(dense, outputs=True))
    theirs = float((full - base).norm() / base.norm())
    found = []
    for spec in ("int8+a8", "int8+a8-static"):
        model = copy.deepcopy(dense)
        compress(model, spec, calibration=TEXTS)
        found.append(float((answers(model) - base).norm() / base.norm()))
    assert found[0] < 0.8 * found[1]
    assert found[1] == pytest.approx(theirs, rel=0.25)

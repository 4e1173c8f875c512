"""AlphaPruning and allocation files against the authors' code (shared/golden)."""

from __future__ import annotations

import json

import pytest
import torch

from pytest_llmsafety.compressors import compress
from pytest_llmsafety.compressors.layerwise.allocation import amounts, by_layer
from pytest_llmsafety.compressors.layerwise.alphapruning import alpha_of, sparsities
from pytest_llmsafety.compressors.layerwise.layers import all_layers, decoder_blocks
from pytest_llmsafety.compressors.parameters import Parameters, Values
from tests.reference.story_model import Golden, calibration, stories

CLOSE = 1e-5
"""They rest on eigenvalues in float32: two processors were seen to differ by 2e-6."""


@pytest.fixture(scope="module")
def ratios(shared):
    """The authors' exponents and sparsities by the dtype of the weights they looked at."""
    folder = shared / "golden" / "compress" / "stories3M"
    names = {"float16": "fp16", "float32": "fp32"}
    return {
        dtype: json.loads((folder / f"alphapruning_ratios_{name}.json").read_text())
        for dtype, name in names.items()
    }


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_exponents_and_sparsities_are_the_authors(dtype, shared, ratios):
    """All 42 exponents agree, and all 42 sparsities, in float16 and in float32."""
    blocks = decoder_blocks(stories(shared).to(getattr(torch, dtype)))
    expected = ratios[dtype]
    for layer in all_layers(blocks):
        assert alpha_of(layer) == pytest.approx(expected["alpha"][layer.name], rel=CLOSE)
    found = by_layer(blocks, sparsities(blocks, 0.5, 0.3))
    assert found == pytest.approx(expected["ratio"], rel=CLOSE)


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("alphapruning_magnitude_50", "magnitude:0.5:layer"),
        ("alphapruning_wanda_50", "wanda:0.5"),
    ],
)
def test_masks_by_their_sparsities_are_the_authors(name, spec, shared, ratios, tmp_path):
    """With the sparsities of the float16 weights every mask and every count is theirs."""
    file = tmp_path / "a.json"
    file.write_text(json.dumps(ratios["float16"]["ratio"]))
    model, golden = stories(shared), Golden(shared, name)
    compress(model, f"{spec}:alloc={file}", calibration=calibration(shared))
    assert set(golden.changed_shares(model).values()) == {0.0}
    assert set(golden.zeros_off(model).values()) == {0}
    assert max(map(abs, golden.sums_off(model).values())) < 1e-9
    golden.assert_nll(model)


def test_alpha_as_a_flag_takes_the_sparsities_of_the_weights_as_loaded(shared, ratios):
    """`alpha` on the float32 model gives each row int(inputs * sparsity) zeros."""
    model = stories(shared)
    values = Values(sparsity=0.5, flags=frozenset({"alpha"}))
    given = amounts(model, values, Parameters("wanda:0.5", sparsity=True))
    assert given == pytest.approx(ratios["float32"]["ratio"], rel=CLOSE)
    compress(model, "wanda:0.5:alpha", calibration=calibration(shared))
    for layer in all_layers(decoder_blocks(model)):
        zeros = (layer.weight == 0).sum(dim=1)
        assert set(zeros.tolist()) == {int(layer.inputs * given[layer.name])}

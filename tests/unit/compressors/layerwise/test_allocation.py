"""Amounts by layer: allocation files and AlphaPruning work, and contradictions are refused."""

from __future__ import annotations

import json

import pytest
import torch

from pytest_llmsafety.compressors import check, compress
from pytest_llmsafety.compressors.layerwise.alphapruning import exponent, mapped
from pytest_llmsafety.compressors.layerwise.layers import all_layers, decoder_blocks
from pytest_llmsafety.errors import AllocationError, ConfigurationError
from pytest_llmsafety.specs import CompressionSpec
from tests.stand_ins.random_models import random_model


@pytest.fixture
def file(tmp_path):
    """Writes an allocation file and returns its path."""

    def write(content):
        path = tmp_path / "alloc.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def zeros(model):
    """Share of zeros by layer name."""
    layers = all_layers(decoder_blocks(model))
    return {layer.name: float((layer.weight == 0).float().mean()) for layer in layers}


def test_a_layer_goes_before_its_block_and_others_keep_the_steps_sparsity(file):
    """The file names one block and one layer in it; the other blocks get 0.5."""
    model = random_model("llama")
    path = file({"model.layers.1": 0.25, "model.layers.1.self_attn.q_proj": 0.75})
    record = compress(model, f"magnitude:0.5:alloc={path}")
    found = zeros(model)
    assert found["model.layers.1.self_attn.q_proj"] == 0.75
    assert found["model.layers.1.mlp.up_proj"] == 0.25
    assert found["model.layers.0.mlp.up_proj"] == 0.5
    note = "sparsity by layer for 7 of 21 layers, from 0.25 to 0.75, 0.4"
    assert any(text.startswith(note) for text in record.notes)
    assert ("alloc", str(path)) in record.parameters


def test_bits_are_allocated_too(file):
    """A layer with 8 bits has more values than its neighbours with 2."""
    model = random_model("gpt2")
    path = file({"transformer.h.0.attn.c_attn": 8})
    record = compress(model, f"rtn:2:alloc={path}")
    bits = {name: bits for name, bits, _ in record.layers}
    assert 8 < bits["transformer.h.0.attn.c_attn"] < 9
    assert bits["transformer.h.0.mlp.c_fc"] < 3


def test_methods_with_a_hessian_take_amounts_too(file):
    """SparseGPT prunes one block by 0.25 and the others by half; GPTQ gives one layer 8 bits."""
    calibration = [list(range(24)), list(range(24, 48))]
    model = random_model("llama")
    path = file({"model.layers.1": 0.25})
    compress(model, f"sparsegpt:0.5:nsamples=2:seqlen=24:alloc={path}", calibration=calibration)
    found = zeros(model)
    assert found["model.layers.1.mlp.up_proj"] == pytest.approx(0.25, abs=0.01)
    assert found["model.layers.0.mlp.up_proj"] == pytest.approx(0.5, abs=0.01)
    path = file({"model.layers.0.mlp.up_proj": 8})
    record = compress(random_model("llama"), f"gptq:3:nsamples=2:seqlen=24:alloc={path}",
                      calibration=calibration)  # fmt: skip
    bits = {name: bits for name, bits, _ in record.layers}
    assert bits["model.layers.0.mlp.up_proj"] > 8
    assert bits["model.layers.1.mlp.up_proj"] < 5


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "gpt_neox"])
def test_alpha_keeps_the_mean_and_differs_by_block(family):
    """The sparsities have the given mean over all weights, and not all blocks have the same."""
    model = random_model(family)
    record = compress(model, "magnitude:0.5:alpha:epsilon=0.2")
    shares = {name: share for name, _, share in record.layers}
    assert record.sparsity == pytest.approx(0.5, abs=0.03)
    assert max(shares.values()) > 1.1 * min(shares.values())


def test_exponent_of_a_power_law_is_found():
    """Values drawn from a Pareto law of exponent 3 give about 3."""
    chance = torch.Generator().manual_seed(0)
    values = torch.rand(4000, generator=chance).pow(-1 / 2).sort().values
    assert exponent(values) == pytest.approx(3, rel=0.05)


def test_mapping_is_linear_and_keeps_the_mean():
    """The end points are (1 - spread) and (1 + spread) times one level; equal alphas are equal."""
    low, middle, high = mapped([2, 3, 4], [10, 10, 20], 0.6, 0.3)
    assert high / low == pytest.approx(1.3 / 0.7)
    assert middle == pytest.approx((low + high) / 2)
    assert (low + middle + 2 * high) / 4 == pytest.approx(0.6)
    assert mapped([2, 2], [1, 5], 0.6, 0.3) == pytest.approx([0.6, 0.6])


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("wanda:2:4:alpha", "need a sparsity"),
        ("wanda:0.5:alpha:alloc=x.json", "expected one of them"),
        ("magnitude:0.5:epsilon=0.2", "needs alpha"),
        ("magnitude:0.5:alloc=absent.json", "cannot be read"),
        ("magnitude:0.5:alpha:epsilon=1", "epsilon has to be"),
    ],
)
def test_contradictions_are_refused_before_a_model_is_loaded(spec, words):
    """Each error says what was expected."""
    with pytest.raises(ConfigurationError, match=words):
        check(CompressionSpec.parse(spec))


@pytest.mark.parametrize(
    ("content", "spec", "words"),
    [
        ("{", "magnitude:0.5", "cannot be read"),
        ("[0.5]", "magnitude:0.5", "holds no names"),
        ({"a": 1.0}, "magnitude:0.5", r"a has 1.0 \(1 of 1 values"),
        ({"a": -0.1}, "magnitude:0.5", "sparsities in"),
        ({"a": True}, "magnitude:0.5", "true"),
        ('{"a": NaN}', "magnitude:0.5", "NaN"),
        ({"a": 4.5}, "rtn:4", "bits from 2 to 8"),
        ({"a": 16}, "rtn:4", "whole numbers of bits"),
    ],
)
def test_a_wrong_file_is_refused_before_a_model_is_loaded(content, spec, words, file):
    """Values that are no sparsities (or bits) are named."""
    with pytest.raises(ConfigurationError, match=words):
        check(CompressionSpec.parse(f"{spec}:alloc={file(content)}"))


def test_unknown_names_leave_the_model_untouched_and_usable(file):
    """A name of another model is shown with a name of this one, and nothing is changed."""
    model = random_model("llama")
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    path = file({"model.layers.0": 0.5, "transformer.h.0": 0.5})
    with pytest.raises(AllocationError, match=r"transformer\.h\.0\. Expected .* model\.layers\.0"):
        compress(model, f"magnitude:0.5:alloc={path}")
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in before)
    model(torch.tensor([[1, 2]]))


def test_alpha_refuses_a_sparsity_of_one_or_more():
    """0.95 with a spread of 0.3 would empty a block."""
    with pytest.raises(AllocationError, match=r"epsilon= below 0\.3"):
        compress(random_model("llama"), "magnitude:0.95:alpha")


def test_alpha_needs_a_spectrum():
    """A layer of zeros has no exponent, and is named."""
    model = random_model("llama")
    model.model.layers[1].mlp.up_proj.weight.data.zero_()
    with pytest.raises(AllocationError, match="up_proj has rank 0"):
        compress(model, "magnitude:0.5:alpha")

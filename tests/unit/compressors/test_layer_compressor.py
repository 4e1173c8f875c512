"""Methods that work layer by layer, on every family, and their errors."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
import torch
from transformers import AutoModelForCausalLM

from pytest_llmsafety.compressors import compress
from pytest_llmsafety.compressors.base import Context
from pytest_llmsafety.compressors.layer_compressor import LayerCompressor, Solved
from pytest_llmsafety.compressors.layerwise.layers import all_layers, decoder_blocks
from pytest_llmsafety.compressors.methods.wanda import Wanda
from pytest_llmsafety.compressors.parameters import Parameters, Values
from pytest_llmsafety.errors import (
    CompressionError,
    GroupSizeError,
    ModelError,
    NonFiniteWeightsError,
    NothingCompressed,
    UnsupportedModelError,
)
from pytest_llmsafety.specs import Step
from tests.stand_ins.random_models import VOCABULARY, random_model

FAMILIES = ["llama", "qwen2", "qwen3", "mistral", "gemma", "gpt2", "opt", "phi", "gpt_neox"]
SPECS = ["rtn:4:g16", "rtn:3:sym", "magnitude:0.5", "magnitude:0.5:layer", "wanda:0.5", "wanda:2:4"]
IDS = torch.randint(VOCABULARY, (4, 24), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("spec", SPECS)
def test_every_layer_changes_and_nothing_else(family, spec, tmp_path):
    """All layers of the blocks change, all else stays, and the model saves as a plain one."""
    model = random_model(family)
    dense = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    record = compress(model, spec, calibration=IDS.tolist())
    layers = {layer.name for layer in all_layers(decoder_blocks(model))}
    changed = {name for name, tensor in model.state_dict().items() if not tensor.equal(dense[name])}
    assert set(record.layers_changed) == layers
    assert changed == {f"{name}.weight" for name in layers}
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert tied == bool(model.config.tie_word_embeddings)
    model.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        assert torch.equal(again(IDS).logits, model(IDS).logits)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_the_record_counts_what_was_done(family):
    """Bits, zeros and bytes are those of the layers, row by row and overall; JSON holds it."""
    model = random_model(family)
    record = compress(model, "wanda:0.5+rtn:4:sym", calibration=IDS.tolist())
    for name, bits, zeros in record.layers:
        inputs = next(x.inputs for x in all_layers(decoder_blocks(model)) if x.name == name)
        weight = model.get_submodule(name).weight
        assert bits == 4 + 16 / inputs
        assert zeros == float((weight == 0).double().mean()) >= 0.5
    assert record.sparsity >= 0.5
    weights = sum(x.weight.numel() for x in all_layers(decoder_blocks(model)))
    assert record.bytes_before - record.bytes_after == round(weights * (32 - record.bits) / 8)
    assert record.peak_bytes > 0
    assert json.loads(json.dumps(asdict(record)))["calibration"][1] == ["nsamples", "4"]


def test_half_precision_keeps_the_surviving_weights():
    """In bfloat16 the weights that are not pruned keep their exact bits."""
    model = random_model("llama").to(torch.bfloat16)
    dense = {x.name: x.weight.clone() for x in all_layers(decoder_blocks(model))}
    compress(model, "wanda:2:4", calibration=IDS.tolist())
    for layer in all_layers(decoder_blocks(model)):
        kept = layer.weight != 0
        assert torch.equal(layer.weight[kept], dense[layer.name][kept])
        assert int((~kept).sum()) == layer.weight.numel() // 2


def test_a_group_size_that_does_not_fit_is_refused():
    """The error names a layer and group sizes that would fit, and the model is as it was."""
    model = random_model("llama")
    with pytest.raises(GroupSizeError, match=r"size 32 does not divide the 48 .*down_proj.*g16 or"):
        compress(model, "rtn:4:g32")
    compress(model, "rtn:4:g16")


def test_nan_weights_are_found_before_any_change():
    """The layer is named, and no other layer was touched."""
    model = random_model("llama")
    model.model.layers[2].mlp.up_proj.weight.data[0, 0] = float("nan")
    before = model.model.layers[0].mlp.up_proj.weight.clone()
    with pytest.raises(NonFiniteWeightsError, match=r"layers\.2\.mlp\.up_proj holds NaN"):
        compress(model, "magnitude:0.5")
    assert torch.equal(model.model.layers[0].mlp.up_proj.weight, before)


def test_nothing_to_prune_is_nothing_compressed():
    """A sparsity of less than one weight a row changes no layer, and says so."""
    with pytest.raises(NothingCompressed, match="changed no layer"):
        compress(random_model("llama"), "magnitude:0.001")


def test_a_mixture_of_experts_is_refused_by_calibrated_methods():
    """The reason is the routing, and the model is as it was."""
    model = random_model("mixtral")
    with pytest.raises(UnsupportedModelError, match="mixture of experts"):
        compress(model, "gptq:4", calibration=IDS.tolist())
    assert model(IDS).logits.isfinite().all()


def test_an_error_in_the_middle_leaves_no_model_in_use(monkeypatch):
    """After a failure in the second block the model refuses to run and says why."""
    solve, calls = Wanda.solve, []

    def failing(self, weight, statistics, values):
        calls.append(weight)
        if len(calls) > 9:
            raise RuntimeError(len(calls))
        return solve(self, weight, statistics, values)

    monkeypatch.setattr(Wanda, "solve", failing)
    model = random_model("llama")
    with pytest.raises(CompressionError, match=r"in the middle.*RuntimeError: 10.*Load it again"):
        compress(model, "wanda:0.5", calibration=IDS.tolist())
    with pytest.raises(ModelError, match="part of this LlamaForCausalLM may be compressed"):
        model(IDS)


def test_layers_may_have_their_own_amount():
    """An allocation by layer or block replaces the step's sparsity, or its bits."""

    class Uneven(Wanda):
        def allocation(self, _model, values):
            assert values == Values(sparsity=0.5)
            return {"model.layers.0": 0.25, "model.layers.1.mlp.up_proj": 0.75}

    model = random_model("llama")
    record = Uneven().compress(model, Step("wanda", "0.5"), Context(calibration=IDS.tolist()))
    zeros = {name: share for name, _, share in record.layers}
    assert zeros["model.layers.0.mlp.up_proj"] == 0.25
    assert zeros["model.layers.1.mlp.up_proj"] == 0.75
    assert zeros["model.layers.1.mlp.gate_proj"] == 0.5


def test_a_method_is_a_class_of_ten_lines():
    """A new method has to define solve(), and no more."""

    class Halve(LayerCompressor):
        parameters = Parameters(example="halve")

        def solve(self, weight, _statistics, _values):
            return Solved(weight / 2, bits=16, notes=("halved",))

    record = Halve().compress(random_model("gpt2"), Step("halve"), Context())
    assert (record.bits, record.notes, len(record.layers)) == (16, ("halved",), 8)

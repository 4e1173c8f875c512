"""The record of a checkpoint says what computed its layers."""

from __future__ import annotations

import pytest
import torch
import transformers

from pytest_llmsafety.compressors import check, compress
from pytest_llmsafety.compressors.methods.checkpoint import execution
from pytest_llmsafety.compressors.record.coverage import fingerprint, plain_values
from pytest_llmsafety.errors import ConfigurationError, ModelError
from pytest_llmsafety.models.load import load_model
from pytest_llmsafety.specs import CompressionSpec
from tests.stand_ins.foreign_checkpoints import tiny_llama
from tests.stand_ins.packed_checkpoints import save_fp8, save_mxfp4, tell
from tests.stand_ins.random_models import LLAMA_LIKE


class Packed(torch.Tensor):
    """A tensor of codes like torchao's: most operations on it fail, `dequantize` gives values."""

    @staticmethod
    def __new__(cls, codes, scale, act_quant_kwargs=None):
        """Wrap codes and a scale."""
        made = torch.Tensor._make_wrapper_subclass(cls, codes.shape, dtype=scale.dtype)
        made.codes, made.scale, made.act_quant_kwargs = codes, scale, act_quant_kwargs
        return made

    def dequantize(self):
        """Return the values that the codes stand for."""
        return self.codes * self.scale

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        """Detach, and refuse everything else."""
        if func is torch.ops.aten.detach.default:
            return Packed(args[0].codes, args[0].scale, args[0].act_quant_kwargs)
        raise NotImplementedError(func)


def packed(**fields):
    """A small packed weight and its values."""
    codes, scale = torch.randint(-7, 8, (64, 64), dtype=torch.int8), torch.tensor(0.1)
    return Packed(codes, scale, **fields), codes * scale


def test_a_packed_weight_is_compared_by_its_values():
    """Tensors of a package's own kind have no bytes that could be compared."""
    weight, values = packed()
    assert fingerprint(plain_values(weight)) == fingerprint(values)


@pytest.mark.parametrize(("fields", "bits"), [({}, None), ({"act_quant_kwargs": {}}, 8.0)])
def test_the_class_of_a_weight_names_what_ran(fields, bits):
    """A plain layer with a packed weight is computed by the package of that weight."""
    model = tiny_llama()
    model.model.layers[0].self_attn.q_proj.weight = torch.nn.Parameter(
        packed(**fields)[0], requires_grad=False
    )
    found = execution(model, {"quant_method": "torchao"}, "bfloat16")
    how, dtypes = found.notes
    assert how.endswith(
        "run by its package in float32: 1 layers by tests (Packed); 13 plain layers"
    )
    assert dtypes == "its package computes in float32, the dense model in bfloat16"
    assert found.input_bits == bits


def test_a_layer_that_multiplies_in_8_bits_says_so():
    """LLM.int8() of bitsandbytes and the FP8 layers of transformers round their inputs."""

    class Linear8bitLt(torch.nn.Linear):
        """Stands in for the one of bitsandbytes."""

    model = tiny_llama()
    model.model.layers[0].mlp.up_proj = Linear8bitLt(64, 128, bias=False)
    found = execution(model, {"quant_method": "bitsandbytes"}, "float32")
    assert found.input_bits == 8
    assert "1 layers by tests (Linear8bitLt); 13 plain layers" in found.notes[0]


def test_fp8_on_a_cpu_is_dequantized_and_says_so(tmp_path):
    """No FP8 kernel runs on a CPU: plain float32 layers do, and their inputs are not rounded."""
    save_fp8(tiny_llama(), tmp_path)
    model = tiny_llama()
    record = compress(model, f"checkpoint:{tmp_path}")
    assert record.notes[:2] == (
        "fp8 checkpoint, dequantized: plain float32 layers ran, and no kernels of a package",
        "the kernels of fp8 round the inputs of layers, too, which was not done here",
    )
    assert 8 < record.bits < 8.1
    assert record.bytes_after == (tmp_path / "model.safetensors").stat().st_size
    assert record.activation_bits is None


def gpt_oss():
    """A tiny gpt-oss in float32."""
    config = transformers.GptOssConfig(
        **{**LLAMA_LIKE, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2},
        num_local_experts=4,
        num_experts_per_tok=2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return transformers.AutoModelForCausalLM.from_config(config).eval()


def test_mxfp4_needs_no_kernels_on_a_cpu(tmp_path):
    """Transformers unpacks the experts of gpt-oss: each weight is on the grid of its group."""
    dense = gpt_oss()
    save_mxfp4(dense, tmp_path)
    check(CompressionSpec.parse(f"checkpoint:{tmp_path}"))
    model = load_model(tmp_path, dtype="float32", device="cpu")
    for layer, was in zip(model.model.layers, dense.model.layers, strict=True):
        for name in ("gate_up_proj", "down_proj"):
            found, before = (getattr(x.mlp.experts, name).detach() for x in (layer, was))
            groups, values = (x.transpose(1, 2).unflatten(-1, (-1, 32)) for x in (before, found))
            largest = groups.abs().amax(-1, keepdim=True)
            assert float(((groups - values).abs() / largest).max()) <= 1 / 3
            assert float((groups - values).abs().max()) > 0
    (note,) = execution(model, {"quant_method": "mxfp4"}, "float32").notes
    assert note.startswith("mxfp4 checkpoint, dequantized: plain float32 layers ran")


def test_hqq_is_refused(tmp_path):
    """Transformers 5 does not load its files, with or without the package."""
    tiny_llama().save_pretrained(tmp_path)
    tell(tmp_path, {"quant_method": "hqq", "quant_config": {}})
    with pytest.raises(ConfigurationError, match=r"format hqq, which transformers 5 does not load"):
        check(CompressionSpec.parse(f"checkpoint:{tmp_path}"))
    with pytest.raises(ModelError, match=r"format hqq.*judge the folder: checkpoint:FOLDER"):
        load_model(tmp_path, dtype="float32", device="cpu")

"""Checkpoints of tiny models in packed formats, written as the packages of these formats do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file

from pytest_llmsafety.compressors.layerwise.grid import find_grid
from pytest_llmsafety.compressors.layerwise.layers import all_layers, decoder_blocks

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel

FP4 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6])
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)


def words(codes: torch.Tensor, bits: int, order: tuple[int, ...]) -> torch.Tensor:
    """Rows of codes [n, m] as 32-bit words [n, m * bits / 32], the lowest bits first."""
    count = len(order)
    packed = torch.zeros(codes.shape[0], codes.shape[1] // count, dtype=torch.int64)
    for place, number in enumerate(order):
        packed |= codes[:, number::count].long() << (bits * place)
    return torch.where(packed >= 2**31, packed - 2**32, packed).to(torch.int32)


def gptq_parts(codes, zeros, bits, *, offset=1):
    """Qweight and qzeros of codes [inputs, outputs] and zero points [groups, outputs]."""
    order = tuple(range(32 // bits))
    return words(codes.T, bits, order).T.contiguous(), words(zeros - offset, bits, order)


def awq_parts(codes, zeros):
    """The same for AWQ's GEMM layout, 4 bits."""
    return words(codes, 4, AWQ_ORDER), words(zeros, 4, AWQ_ORDER)


def save_packed(
    model: PreTrainedModel,
    folder: Path,
    config: dict[str, object],
    *,
    order: torch.Tensor | None = None,
) -> None:
    """Round each layer of the blocks to nearest in groups of 32 inputs, and save the packed codes.

    `config` becomes the quantization_config. `order` puts the inputs of layers with as many into
    groups out of order, as activation order does. The model's weights become the rounded ones.
    """
    model.save_pretrained(folder)
    state = load_file(folder / "model.safetensors")
    bits, size = int(str(config["bits"])), 32
    for layer in all_layers(decoder_blocks(model)):
        weight = layer.working_copy()
        group = torch.arange(layer.inputs) // size
        if order is not None and len(order) == layer.inputs:
            group = group[order]
        members = group.argsort(stable=True)
        grouped = weight[:, members].reshape(-1, size)
        grid = find_grid(grouped, bits)
        found, rounded = torch.empty_like(weight), torch.empty_like(weight)
        found[:, members] = grid.codes(grouped).view_as(weight)
        rounded[:, members] = grid.rounded(grouped).view_as(weight)
        found = found.T.long()
        scale, zero = (part.view(layer.outputs, -1).T for part in (grid.scale, grid.zero))
        zeros = zero.long()
        if "awq" in (config["quant_method"], str(config.get("packing_format"))[-3:]):
            qweight, qzeros = awq_parts(found, zeros)
        else:
            offset = 0 if config.get("checkpoint_format") == "gptq_v2" else 1
            qweight, qzeros = gptq_parts(found, zeros, bits, offset=offset)
            state[f"{layer.name}.g_idx"] = group.to(torch.int32)
        del state[f"{layer.name}.weight"]
        state |= {f"{layer.name}.qweight": qweight, f"{layer.name}.qzeros": qzeros}
        state[f"{layer.name}.scales"] = scale.contiguous()
        layer.write(rounded)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    tell(folder, config)


def tell(folder: Path, config: dict[str, object]) -> None:
    """Write `config` into config.json as its quantization_config."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "quantization_config": config}))


def save_quanto(model: PreTrainedModel, folder: Path, qtype: str) -> None:
    """Save the model as optimum-quanto saves its own, all but the output embedding packed."""
    from optimum import quanto

    packed = quanto.QuantizedModelForCausalLM.quantize(
        model, weights=quanto.qtypes[qtype], exclude="lm_head"
    )
    packed.save_pretrained(folder)


def save_fp8(model: PreTrainedModel, folder: Path, block: int = 32) -> None:
    """Codes in float8 with a scale for each block of the weight, as DeepSeek-V3 and Qwen3 have."""
    model.save_pretrained(folder)
    state = load_file(folder / "model.safetensors")
    for layer in all_layers(decoder_blocks(model)):
        weight = state[f"{layer.name}.weight"]
        rows, columns = (size // block for size in weight.shape)
        blocks = weight.reshape(rows, block, columns, block)
        scale = blocks.abs().amax((1, 3)) / 448
        codes = (blocks / scale[:, None, :, None]).reshape(weight.shape)
        state[f"{layer.name}.weight"] = codes.to(torch.float8_e4m3fn)
        state[f"{layer.name}.weight_scale_inv"] = scale
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    size = [block, block]
    config = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": size}
    tell(folder, config)


def save_mxfp4(model: PreTrainedModel, folder: Path) -> None:
    """The experts of a gpt-oss in 4 bits with an exponent for 32 inputs, the rest as it is."""
    model.save_pretrained(folder)
    state = load_file(folder / "model.safetensors")
    for name in [name for name in state if name.endswith(("gate_up_proj", "down_proj"))]:
        groups = state.pop(name).transpose(1, 2).unflatten(-1, (-1, 32))
        exponent = (groups.abs().amax(-1) / 6).log2().ceil()
        codes = ((groups / 2 ** exponent[..., None])[..., None] - FP4).abs().argmin(-1)
        codes = codes.to(torch.uint8)
        state[f"{name}_blocks"] = (codes[..., 0::2] | codes[..., 1::2] << 4).contiguous()
        state[f"{name}_scales"] = (exponent + 127).to(torch.uint8)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    tell(folder, {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]})

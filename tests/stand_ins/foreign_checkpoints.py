"""Tiny checkpoints in formats of other packages, made on the spot where these are installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from transformers import PreTrainedModel


def tiny_llama() -> PreTrainedModel:
    """A Llama whose widths suit groups of 32, with the same random weights each time."""
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(config).eval()


def save_compressed_tensors(folder: Path, bits: int) -> None:
    """4 bits packed with a scale for 32 inputs, or 8 bits with a scale for each output."""
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization import (
        QuantizationArgs,
        QuantizationConfig,
        QuantizationScheme,
        apply_quantization_config,
    )

    size = 32 if bits == 4 else None
    kind = "pack-quantized" if bits == 4 else "int-quantized"
    arguments = QuantizationArgs(
        num_bits=bits, symmetric=True, strategy="group" if size else "channel", group_size=size
    )
    scheme = QuantizationScheme(targets=["Linear"], weights=arguments, format=kind)
    config = QuantizationConfig(
        config_groups={"all": scheme},
        ignore=["lm_head"],
        format=kind,
        quantization_status="compressed",
    )
    model = tiny_llama()
    apply_quantization_config(model, config)
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear) and name != "lm_head":
            groups = layer.weight.data.unflatten(1, (-1, size or layer.in_features))
            scale = groups.abs().amax(-1) / (2 ** (bits - 1) - 1)
            layer.weight_scale.data = scale.reshape(layer.weight_scale.shape)
    packer = ModelCompressor(quantization_config=config)
    packer.compress_model(model)
    model.save_pretrained(folder)
    packer.update_config(str(folder))


def save_nvfp4(folder: Path) -> None:
    """4-bit floats with a scale for 16 inputs and one for the matrix, by compressed-tensors."""
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization import (
        QuantizationConfig,
        apply_quantization_config,
        preset_name_to_scheme,
    )

    model = tiny_llama()
    config = QuantizationConfig(
        config_groups={"all": preset_name_to_scheme("NVFP4A16", ["Linear"])}, ignore=["lm_head"]
    )
    apply_quantization_config(model, config)
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear) and name != "lm_head":
            largest = layer.weight.data.unflatten(1, (-1, 16)).abs().amax(-1)
            whole = (448 * 6 / largest.max()).reshape(1)
            layer.weight_global_scale.data = whole
            scale = layer.weight_scale
            scale.data = (largest / 6 * whole).to(torch.float8_e4m3fn).to(scale.dtype)
    packer = ModelCompressor.from_pretrained_model(model)
    packer.compress_model(model)
    model.save_pretrained(folder)
    packer.update_config(str(folder))


def save_torchao(folder: Path) -> None:
    """8-bit integers with a scale for each output."""
    from torchao.quantization import Int8WeightOnlyConfig
    from transformers import TorchAoConfig

    tiny_llama().save_pretrained(folder / "dense")
    AutoModelForCausalLM.from_pretrained(
        folder / "dense",
        quantization_config=TorchAoConfig(Int8WeightOnlyConfig()),
        device_map={"": "cpu"},
        dtype=torch.float32,
    ).save_pretrained(folder)


def save_bitsandbytes(folder: Path, bits: int) -> None:
    """NF4, or LLM.int8()."""
    tiny_llama().save_pretrained(folder / "dense")
    settings = (
        {"load_in_8bit": True}
        if bits == 8
        else {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    )
    AutoModelForCausalLM.from_pretrained(
        folder / "dense",
        quantization_config=BitsAndBytesConfig(**settings),
        device_map={"": "cpu"},
        dtype=torch.float32,
    ).save_pretrained(folder)


def save_gguf(
    path: Path,
    kind: str,
    model: PreTrainedModel | None = None,
    tensors: Mapping[str, np.ndarray] | None = None,
    texts: Mapping[str, str] | None = None,
    tokens: Sequence[str] = (),
) -> None:
    """One GGUF file, its blocks' matrices in the quantization `kind` (F16, Q8_0, Q4_0).

    `tensors` and `texts` are further ones of the file, `tokens` its vocabulary.
    """
    import gguf

    model = model or tiny_llama()
    config = model.config
    quantization = getattr(gguf.GGMLQuantizationType, kind)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, tensor in model.state_dict().items():
        values = tensor.numpy()
        rotated = heads.get(name.split(".")[-2])
        if rotated:  # llama.cpp keeps the two halves of a rotated pair side by side
            halves = values.reshape(rotated, 2, -1, values.shape[1])
            values = np.ascontiguousarray(halves.swapaxes(1, 2).reshape(values.shape))
        stored = names.get_name(name, try_suffixes=(".weight",))
        if values.ndim == 2 and stored.startswith("blk."):
            packed = gguf.quants.quantize(values, quantization)
            writer.add_tensor(stored, packed, raw_dtype=quantization)
        else:
            writer.add_tensor(stored, values)
    for name, values in (tensors or {}).items():
        writer.add_tensor(name, values)
    for name, text in (texts or {}).items():
        writer.add_string(name, text)
    if tokens:
        writer.add_token_list(list(tokens))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

"""Turn the codes of GPTQ, AWQ and quanto checkpoints into plain weights, without their packages.

A layer is stored as `qweight`, `qzeros` and `scales` [groups, outputs], and with GPTQ often
`g_idx`, the group of each input. 32-bit words hold the codes, lowest bits first. A word of GPTQ
holds the codes of neighbouring inputs [inputs * bits / 32, outputs]; a word of AWQ (GEMM) holds
eight neighbouring outputs [inputs, outputs / 8] in the order 0 2 4 6 1 3 5 7. A weight is
scale * (code - zero point); GPTQ's first format stores each zero point less 1. AutoGPTQ 0.7.1,
GPTQModel 7.7.0 and AutoAWQ 0.2.9 write these layouts, and AutoRound uses them, too.

optimum-quanto stores a layer as `weight._data`, the codes [outputs, inputs] in 8 bits, or
`weight._data._data`, bytes with 4 or 2 codes of groups of inputs, and `weight._scale`, where it
packs also `weight._shift`. A weight is scale * code - shift. transformers loads no such files.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import ModelError
from pytest_llmsafety.models.model_folder import read_config, weight_files
from pytest_llmsafety.models.quantization_formats import QUANTO, packed_as, quantization_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import torch

AWQ_PLACES = (0, 4, 1, 5, 2, 6, 3, 7)  # where the outputs 0 1 2 ... are in their word
PARTS = ("qweight", "qzeros", "scales", "g_idx")


def dense_state(
    folder: Path, dtype: torch.dtype, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, torch.Tensor]:
    """Return every tensor of a checkpoint by name, each packed layer as one weight in `dtype`.

    `shapes` holds the shapes of the plain model's parameters. Raises ModelError for a layer that
    lacks a part, or whose zero points are ambiguous.
    """
    from safetensors.torch import load_file

    settings = quantization_settings(read_config(folder))
    state = {
        name: tensor for path in weight_files(folder) for name, tensor in load_file(path).items()
    }
    if settings["quant_method"] == QUANTO:
        return _quanto_state(folder, state, dtype, shapes)
    for layer in [name.removesuffix(".qweight") for name in state if name.endswith(".qweight")]:
        parts = {part: state.pop(f"{layer}.{part}", None) for part in PARTS}
        lacking = [part for part in PARTS[:3] if parts[part] is None]
        if lacking:
            message = f"'{folder}': {layer} has no {lacking[0]}. Fetch or save the model again."
            raise ModelError(message)
        state[f"{layer}.weight"] = dense_weight(layer, parts, settings).to(dtype)
    return state


def dense_weight(layer: str, parts: Mapping[str, Any], settings: Mapping[str, Any]) -> torch.Tensor:
    """Return the weight [outputs, inputs] in float32 that the codes of one layer stand for."""
    import torch

    bits = int(settings.get("bits") or settings["w_bit"])
    words, layout = packed_as(settings)
    if words == "awq":
        found = codes(parts["qweight"], bits, AWQ_PLACES).T
        zeros = codes(parts["qzeros"], bits, AWQ_PLACES)
    else:
        found = codes(parts["qweight"].T, bits, range(32 // bits))
        zeros = codes(parts["qzeros"], bits, range(32 // bits))
        if layout != "gptq_v2":
            zeros = _zero_points(layer, zeros, bits)
    scales, inputs = parts["scales"].float(), found.shape[1]
    group = parts["g_idx"]
    if group is None:
        size = int(settings.get("group_size") or settings.get("q_group_size") or -1)
        group = torch.arange(inputs) // (size if size > 0 else inputs)
    group = group.long()
    weight: torch.Tensor = scales.T[:, group] * (found - zeros.T[:, group])
    return weight


def _quanto_state(
    folder: Path,
    state: dict[str, torch.Tensor],
    dtype: torch.dtype,
    shapes: Mapping[str, tuple[int, ...]],
) -> dict[str, torch.Tensor]:
    """Unpack quanto's files. Raises ModelError for a scale of inputs or outputs other than 1."""
    import torch

    for name in [n.removesuffix("._scale") for n in state if n.endswith(".weight._scale")]:
        scale, shift = state.pop(f"{name}._scale").float(), state.pop(f"{name}._shift", None)
        code, packed = state.pop(f"{name}._data", None), state.pop(f"{name}._data._data", None)
        shape = shapes.get(name)
        if shape is None or (code is None) == (packed is None):
            message = f"'{folder}': {name} has no place or no codes. Fetch or save the model again."
            raise ModelError(message)
        if packed is not None:
            rows, width = len(scale), math.prod(shape) // len(scale)
            bits = 8 * packed.numel() // math.prod(shape)
            parts = [(packed >> start) & (2**bits - 1) for start in range(0, 8, bits)]
            code = torch.cat(parts)[:rows].reshape(rows, width)
        assert code is not None  # noqa: S101 - one of the two is there
        values = scale * code.float() - (0 if shift is None else shift.float())
        state[name] = values.reshape(shape).to(dtype)
        layer = name.removesuffix(".weight")
        for which in ("input_scale", "output_scale"):
            if float(state.pop(f"{layer}.{which}", torch.ones(()))) != 1:
                message = (
                    f"'{folder}': optimum-quanto rounds what passes through {layer} ({which}), "
                    "which is not computed here. Expected weights only (activations: none)."
                )
                raise ModelError(message)
    return state


def codes(words: torch.Tensor, bits: int, places: Sequence[int]) -> torch.Tensor:
    """Return the codes [..., n * 32 / bits] that the words [..., n] hold."""
    import torch

    shifts = bits * torch.tensor(places)
    found: torch.Tensor = (words[..., None] >> shifts) & (2**bits - 1)
    return found.flatten(-2)


def _zero_points(layer: str, zeros: torch.Tensor, bits: int) -> torch.Tensor:
    """Return the zero points, of which the format gptq subtracts 1 before it packs them.

    A zero point of 0 became -1, which changes its neighbours in a word, and AutoGPTQ and GPTQModel
    read it differently. So it is an error.
    """
    if int(zeros.max()) == 2**bits - 1:
        message = (
            f"{layer} has a zero point of 0, which the format gptq stores as -1: packages read it "
            "differently. Expected the format gptq_v2, or a symmetric quantization. Convert the "
            "checkpoint with GPTQModel, or install it: pip install optimum gptqmodel."
        )
        raise ModelError(message)
    return zeros + 1

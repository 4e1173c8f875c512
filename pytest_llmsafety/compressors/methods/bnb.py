"""`bnb:nf4`, `bnb:fp4`, `bnb:llm.int8`: run the modules and kernels of bitsandbytes, on a GPU.

The extra `bnb` installs the library. `nf4`, `fp4` and `llm.int8` give the same weights on any
device. The arithmetic of the kernels differs, and LLM.int8() chooses the columns that it keeps in
16 bits from the whole batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors.base import Compressor
from pytest_llmsafety.compressors.layerwise.layers import (
    all_layers,
    check_finite,
    decoder_blocks,
    outside,
)
from pytest_llmsafety.compressors.methods.fourbit import BLOCK, BLOCK_OF_SCALES, DOUBLE, SCALE_BITS
from pytest_llmsafety.compressors.methods.llm_int8 import THRESHOLD
from pytest_llmsafety.compressors.parameters import Key, Parameters, Values, read
from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.compressors.record.file_sizes import dense_bytes
from pytest_llmsafety.errors import ConfigurationError, UnsupportedModelError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.base import Context
    from pytest_llmsafety.compressors.layerwise.layers import Layer
    from pytest_llmsafety.specs import Step

INT8 = "llm.int8"


class BitsAndBytes(Compressor):
    """Replaces every layer of the decoder blocks by a quantized module of the library."""

    parameters = Parameters(
        example="bnb:nf4:double",
        choices=(("nf4", "4-bit NormalFloat"), ("fp4", "4-bit float"), (INT8, "LLM.int8()")),
        flags=(DOUBLE,),
        keys=(Key("threshold", "of llm.int8: magnitude from which an input is kept; 6.0"),),
    )

    def check(self, step: Step) -> None:
        """Refuse `double` for 8 bits and a threshold for 4."""
        values = read(step, self.parameters)
        odd = values.flags if values.choice == INT8 else [name for name, _ in values.keys]
        if odd:
            message = f"'{step}': {', '.join(odd)} means nothing for {values.choice}. Leave it out."
            raise ConfigurationError(message)

    def compress(self, model: PreTrainedModel, step: Step, context: Context) -> CompressionRecord:
        """Replace the modules one by one, and return the record.

        Raises UnsupportedModelError without a GPU or without the library.
        """
        values = read(step, self.parameters)
        library = bitsandbytes()
        if model.device.type != "cuda":
            message = (
                f"'{step}' runs the kernels of bitsandbytes, and the model is on "
                f"{model.device.type}. Write {str(step).removeprefix('bnb:')}: the same weights "
                "on any device."
            )
            raise UnsupportedModelError(message)
        blocks = decoder_blocks(model)
        layers = all_layers(blocks)
        check_finite(layers)
        size = dense_bytes(model)
        rows, saved = [], 0.0
        for number, layer in enumerate(layers):
            bits, dense = bits_of(layer, values), 8 * layer.weight.element_size()
            count = layer.outputs * layer.inputs
            saved += (dense - bits) * count / 8
            rows.append((layer.name, bits, count))
            replace_module(model, layer, library, values)
            context.progress(layer.name, number + 1, len(layers))
        total = sum(count for *_, count in rows)
        note = f"{step}: kernels of bitsandbytes {library.__version__}"
        if values.choice == INT8:
            note += "; columns of inputs are kept for a whole batch, so answers depend on it"
        return CompressionRecord(
            method=str(step),
            parameters=values.rows(),
            layers_changed=tuple(name for name, *_ in rows),
            layers_skipped=outside(model, blocks),
            bits=sum(bits * count for _, bits, count in rows) / total,
            sparsity=0.0,
            bytes_before=size,
            bytes_after=size - round(saved),
            notes=(note,),
            layers=tuple((name, bits, 0.0) for name, bits, _ in rows),
            activation_bits=8.0 if values.choice == INT8 else None,
        )


def bitsandbytes() -> Any:  # noqa: ANN401 - a module
    """Return the library. Raises UnsupportedModelError that says how to install it."""
    try:
        import bitsandbytes as library
    except ImportError as error:
        message = "bnb needs the package bitsandbytes: pip install 'pytest-llmsafety[bnb]'."
        raise UnsupportedModelError(message) from error
    return library


def bits_of(layer: Layer, values: Values) -> float:
    """Return the stored bits per weight of one layer, float32 scales included."""
    if values.choice == INT8:
        return 8 + SCALE_BITS / layer.inputs
    double = "double" in values.flags
    return 4 + (8 + SCALE_BITS / BLOCK_OF_SCALES if double else SCALE_BITS) / BLOCK


def replace_module(model: PreTrainedModel, layer: Layer, library: Any, values: Values) -> None:  # noqa: ANN401 - a module
    """Put a quantized module in the place of `layer`, on the same device."""
    device = layer.weight.device
    made = quantized(layer, library, values)
    parent, _, name = layer.name.rpartition(".")
    setattr(model.get_submodule(parent), name, made.to(device))


def quantized(layer: Layer, library: Any, values: Values) -> torch.nn.Module:  # noqa: ANN401 - a module
    """Return a module of the library with the layer's weight.

    It is quantized when it is moved to a device.
    """
    import torch

    bias: Any = layer.module.bias
    weight = layer.weight.detach().cpu().contiguous()
    if values.choice == INT8:
        made = library.nn.Linear8bitLt(
            layer.inputs,
            layer.outputs,
            bias=bias is not None,
            has_fp16_weights=False,
            threshold=values.number("threshold", THRESHOLD),
        )
        made.weight = library.nn.Int8Params(weight, requires_grad=False, has_fp16_weights=False)
    else:
        kind = {"quant_type": values.choice, "compress_statistics": "double" in values.flags}
        made = library.nn.Linear4bit(
            layer.inputs, layer.outputs, bias=bias is not None, compute_dtype=weight.dtype, **kind
        )
        made.weight = library.nn.Params4bit(
            weight, requires_grad=False, blocksize=BLOCK, module=made, **kind
        )
    if bias is not None:
        made.bias = torch.nn.Parameter(bias.detach().cpu(), requires_grad=False)
    module: torch.nn.Module = made.eval()
    return module

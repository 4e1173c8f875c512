"""`int8`, `int4`, `int2`, `float8`: quantize with optimum-quanto, and write the values back once.

quanto unpacks and dequantizes a packed weight at every forward pass (four times slower on a
CPU). The values that it computes with are written back here instead: in float32 the model is
the same function, at dense speed. See docs/compressors.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_llmsafety.compressors.base import Compressor
from pytest_llmsafety.compressors.layer_compressor import (
    LayerChange,
    Solved,
    apply,
    record_of_layers,
)
from pytest_llmsafety.compressors.layerwise.experts import left_dense, routers
from pytest_llmsafety.compressors.layerwise.layers import (
    Layer,
    check_finite,
    experts_in,
    linear_layers,
)
from pytest_llmsafety.compressors.parameters import Parameters, Values
from pytest_llmsafety.compressors.record.file_sizes import dense_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.base import Context
    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.specs import Step

QUANTO_GROUP_SIZE = 128


@dataclass(frozen=True)
class QuantizedWeight:
    """A weight after quantization: its values [out, in], packed size and group size."""

    values: torch.Tensor
    packed_bytes: int
    group_size: int | None


class QuantoCompressor(Compressor):
    """Quantizes weights to the quanto type of the subclass; quanto chooses the group size."""

    qtype: str
    weights_only = True

    def compress(
        self,
        model: PreTrainedModel,
        step: Step,
        context: Context,  # noqa: ARG002 - weights only
    ) -> CompressionRecord:
        """Quantize every linear layer, write back the values of the codes, and return the record.

        Raises NonFiniteWeightsError for a weight that is not finite.
        """
        import torch

        layers = list(reached(model))
        check_finite(layers)
        before = dense_bytes(model)
        done: list[LayerChange] = []
        groups: dict[str, int | None] = {}
        with torch.no_grad():
            for layer in layers:
                quantized = quantize(layer.weight, self.qtype)
                bits = 8 * quantized.packed_bytes / layer.stored.numel()
                done.append(apply(layer, Solved(quantized.values, bits)))
                groups[layer.name] = quantized.group_size
        skipped = (("output embedding", "kept dense"), *left_dense(model).items())
        record = record_of_layers(step, Values(), done, before=before, skipped=skipped)
        return replace(
            record,
            parameters=(("library", "optimum-quanto"), ("weights", self.qtype)),
            notes=group_notes(self.qtype, groups),
        )


def reached(model: PreTrainedModel) -> Iterator[Layer]:
    """Yield every linear layer except routers, and the matrix of every expert."""
    dense = routers(model)
    for name, module in linear_layers(model):
        if name not in dense:
            yield Layer(name, module)
    yield from experts_in(model)


class Int8(QuantoCompressor):
    """8-bit integers, one scale per output channel."""

    qtype = "qint8"
    parameters = Parameters(example="int8")


class Int4(QuantoCompressor):
    """4-bit integers, a scale and an offset per group of up to 128 inputs."""

    qtype = "qint4"
    parameters = Parameters(example="int4")


class Int2(QuantoCompressor):
    """2-bit integers, a scale and an offset per group of up to 128 inputs."""

    qtype = "qint2"
    parameters = Parameters(example="int2")


class Float8(QuantoCompressor):
    """8-bit floats (e4m3fn), one scale per output channel."""

    qtype = "qfloat8"
    parameters = Parameters(example="float8")


def quantize(weight: torch.Tensor, qtype: str) -> QuantizedWeight:
    """Return one weight [out, in] as quanto's own QLinear quantizes it."""
    import torch
    from optimum.quanto import nn, qtypes
    from optimum.quanto.tensor import SymmetricOptimizer, quantize_weight

    linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    linear.weight = torch.nn.Parameter(weight.contiguous(), requires_grad=False)
    rule = nn.QLinear.from_module(linear, weights=qtypes[qtype])
    size = rule.weight_group_size
    if isinstance(rule.optimizer, SymmetricOptimizer):
        scale, shift = rule.optimizer(rule.weight, qtype=rule.weight_qtype, axis=0), None
    else:
        scale, shift = rule.optimizer(rule.weight, qtype=rule.weight_qtype, axis=0, group_size=size)
    code = quantize_weight(
        rule.weight.data,
        qtype=rule.weight_qtype,
        axis=0,
        scale=scale,
        shift=shift,
        group_size=size,
        optimized=False,
    )
    stored = scale.nbytes + (0 if shift is None else shift.nbytes)
    # quanto keeps codes in private attributes and offers no other way to them.
    codes = code._data  # noqa: SLF001
    if code.qtype.bits == 8:  # noqa: PLR2004 - the width that quanto does not pack
        return QuantizedWeight(code.dequantize(), codes.nbytes + stored, size)
    packed = codes._data  # noqa: SLF001
    code._data = unpack(packed, code.qtype.bits)[: codes.shape[0]]  # noqa: SLF001
    return QuantizedWeight(code.dequantize(), packed.nbytes + stored, size)


def unpack(packed: torch.Tensor, bits: int) -> torch.Tensor:
    """Return the codes in bytes that quanto packed: lowest bits first, along dimension 0.

    quanto's own unpack compiles a C++ extension at its first call (over 30 seconds).
    """
    import torch

    mask = (1 << bits) - 1
    return torch.cat([(packed >> shift) & mask for shift in range(0, 8, bits)])


def group_notes(qtype: str, groups: dict[str, int | None]) -> tuple[str, ...]:
    """Return notes about layers with another group size than quanto's 128."""
    if qtype not in {"qint4", "qint2"}:
        return ()
    odd: dict[int | None, int] = {}
    for size in groups.values():
        if size != QUANTO_GROUP_SIZE:
            odd[size] = odd.get(size, 0) + 1
    return tuple(
        f"{count} of {len(groups)} layers: group size {size or 'one per output channel'} instead "
        f"of {QUANTO_GROUP_SIZE}, which does not divide their inputs or exceeds them"
        for size, count in odd.items()
    )

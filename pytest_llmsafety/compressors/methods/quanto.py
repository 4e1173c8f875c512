"""int8, int4, int2 and float8 weights by optimum-quanto, written back once as plain weights.

quanto unpacks and dequantizes a packed weight at every forward pass (four times slower on a
CPU). The values that it computes with are written back here instead: in float32 the model is
the same function, at dense speed. See docs/compressors.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_llmsafety.compressors.base import Compressor
from pytest_llmsafety.compressors.layerwise.experts import left_dense, routers
from pytest_llmsafety.compressors.layerwise.layers import (
    Layer,
    experts_in,
    linear_layers,
    weight_of,
)
from pytest_llmsafety.compressors.parameters import Parameters
from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.compressors.record.file_sizes import dense_bytes
from pytest_llmsafety.errors import NonFiniteWeightsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.base import Context
    from pytest_llmsafety.specs import Step

QUANTO_GROUP_SIZE = 128


@dataclass(frozen=True)
class QuantizedWeight:
    """A weight after quantization: its values [out, in], packed size and group size."""

    values: torch.Tensor
    packed_bytes: int
    group_size: int | None


class QuantoCompressor(Compressor):
    """Weights of one quanto type; the subclasses name it. quanto chooses the group size."""

    qtype: str
    weights_only = True

    def compress(
        self,
        model: PreTrainedModel,
        step: Step,
        context: Context,  # noqa: ARG002 - weights only
    ) -> CompressionRecord:
        """Quantize every linear layer and write back the values that the codes stand for.

        Raises NonFiniteWeightsError for a weight that is not finite.
        """
        import torch

        before = dense_bytes(model)
        packed = total = weights = zeros = 0
        found: dict[str, list[tuple[bool, int, int, int]]] = {}
        groups: dict[str, int | None] = {}
        with torch.no_grad():
            for layer in reached(model):
                dense = layer.weight
                if not torch.isfinite(dense).all():
                    message = f"{layer.name} holds NaN or Inf weights; {step} cannot quantize it."
                    raise NonFiniteWeightsError(message)
                quantized = quantize(dense, self.qtype)
                same = torch.equal(quantized.values, dense)
                dense.copy_(quantized.values)
                none = dense.numel() - int(dense.count_nonzero())
                row = (same, quantized.packed_bytes, dense.numel(), none)
                found.setdefault(layer.name, []).append(row)
                packed, total, zeros = packed + row[1], total + row[2], zeros + none
                weights += dense.numel() * dense.element_size()
                groups[layer.name] = quantized.group_size
        same_names = [name for name, rows in found.items() if all(row[0] for row in rows)]
        return CompressionRecord(
            method=str(step),
            parameters=(("library", "optimum-quanto"), ("weights", self.qtype)),
            layers_changed=tuple(name for name in found if name not in same_names),
            layers_skipped=(
                *((name, "its values are on the grid already") for name in same_names),
                ("output embedding", "kept dense"),
                *left_dense(model).items(),
            ),
            bits=8 * packed / total if total else 0.0,
            sparsity=zeros / total if total else 0.0,
            bytes_before=before,
            bytes_after=before - weights + packed,
            notes=group_notes(self.qtype, groups),
            layers=tuple((name, *_shares(rows)) for name, rows in found.items()),
        )


def _shares(rows: Sequence[tuple[bool, int, int, int]]) -> tuple[float, float]:
    """Bits per weight and share of zeros of a layer, or of the experts of a stack."""
    weights = sum(row[2] for row in rows)
    return 8 * sum(row[1] for row in rows) / weights, sum(row[3] for row in rows) / weights


def reached(model: PreTrainedModel) -> Iterator[Layer]:
    """Yield every linear layer but for routers, and the matrix of every expert."""
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


def oriented(layer: torch.nn.Module) -> torch.Tensor:
    """The weight as [out, in], a view into the layer; Conv1D stores it as [in, out]."""
    import torch

    weight = weight_of(layer).data
    return weight if isinstance(layer, torch.nn.Linear) else weight.T


def quantize(weight: torch.Tensor, qtype: str) -> QuantizedWeight:
    """Quantize one weight [out, in] exactly as quanto's own QLinear does."""
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
    """Codes out of bytes, as quanto packs them: lowest bits first, along dimension 0.

    quanto's own unpack compiles a C++ extension at its first call (over 30 seconds).
    """
    import torch

    mask = (1 << bits) - 1
    return torch.cat([(packed >> shift) & mask for shift in range(0, 8, bits)])


def group_notes(qtype: str, groups: dict[str, int | None]) -> tuple[str, ...]:
    """Say which layers got another group size than quanto's 128, and why."""
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

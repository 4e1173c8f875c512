"""`nf4` and `fp4`: put blocks of 64 weights on a fixed table of 16 values (Dettmers et al., 2023).

A block is divided by its largest magnitude, and each weight becomes the nearest value of the
table. The arithmetic, ties included, is that of bitsandbytes' quantize_4bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.compressors.layer_compressor import LayerCompressor, Solved
from pytest_llmsafety.compressors.parameters import Parameters

if TYPE_CHECKING:
    import torch

    from pytest_llmsafety.compressors.parameters import Values

BLOCK = 64
BLOCK_OF_SCALES = 256
SMALLEST_SCALE = 1e-38
SCALE_BITS = 32  # the paper and bitsandbytes keep them in float32
DOUBLE = ("double", "the scales in 8 bits as well")

NF4 = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)  # quantiles of the normal distribution: appendix E of the paper
FP4_POSITIVE = (0.0625, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)  # of 12; sign, two exponent bits, one more


class FourBit(LayerCompressor):
    """Puts weights on a table of 16 values, with one scale for 64 neighbours of the flat matrix."""

    def table(self) -> torch.Tensor:
        """Return the values of the table in order; the largest magnitude is 1."""
        raise NotImplementedError

    def solve(self, weight: torch.Tensor, statistics: Any, values: Values) -> Solved:  # noqa: ANN401, ARG002
        """Put every weight on the table; with `double` the scales as well."""
        double = "double" in values.flags
        rounded = on_table(weight, self.table().to(weight.device), double=double)
        scale_bits = 8 + SCALE_BITS / BLOCK_OF_SCALES if double else SCALE_BITS
        return Solved(rounded, 4 + scale_bits / BLOCK)


class NormalFloat4(FourBit):
    """4-bit NormalFloat: the table follows the normal distribution."""

    parameters: ClassVar[Parameters] = Parameters(example="nf4:double", flags=(DOUBLE,))

    def table(self) -> torch.Tensor:
        """Return the quantiles of the normal distribution."""
        import torch

        return torch.tensor(NF4)


class Float4(FourBit):
    """4-bit floats: a sign, two bits of exponent, one of mantissa."""

    parameters: ClassVar[Parameters] = Parameters(example="fp4:double", flags=(DOUBLE,))

    def table(self) -> torch.Tensor:
        """Return zero and seven magnitudes of either sign (zero has two codes)."""
        import torch

        magnitudes = torch.tensor(FP4_POSITIVE) / max(FP4_POSITIVE)
        return torch.cat([-magnitudes.flip(0), torch.zeros(1), magnitudes])


def on_table(weight: torch.Tensor, table: torch.Tensor, *, double: bool = False) -> torch.Tensor:
    """Return `weight` with every block of 64 on `table`, in float32, in the same shape."""
    codes, scales = quantize_blocks(weight, table, BLOCK)
    if double:
        mean = scales.mean()
        dynamic = dynamic_table().to(scales.device)
        again, outer = quantize_blocks(scales - mean, dynamic, BLOCK_OF_SCALES)
        scales = dequantize_blocks(again, outer, dynamic, BLOCK_OF_SCALES) + mean
    return dequantize_blocks(codes, scales, table, BLOCK).reshape(weight.shape)


def quantize_blocks(
    values: torch.Tensor, table: torch.Tensor, size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return codes [n] into the sorted `table`, and the largest magnitude of each block of `size`.

    The last block may be shorter. A value half-way between two of the table gets the lower one.
    """
    import torch

    flat = values.reshape(-1).float()
    blocks = _blocks(flat, size)
    scales = blocks.abs().amax(dim=1)
    divisors = scales.clamp(min=SMALLEST_SCALE)[:, None]
    scaled = blocks * (1 / divisors)
    if flat.numel() % size:
        scaled[-1] = blocks[-1] / divisors[-1]
    middles = (table[:-1] + table[1:]) / 2
    codes = torch.bucketize(scaled.clamp(-1, 1).reshape(-1)[: flat.numel()], middles)
    return codes, scales


def dequantize_blocks(
    codes: torch.Tensor, scales: torch.Tensor, table: torch.Tensor, size: int
) -> torch.Tensor:
    """Return the values of codes [n] of blocks of `size`."""
    return (_blocks(table[codes], size) * scales[:, None]).reshape(-1)[: codes.numel()]


def dynamic_table() -> torch.Tensor:
    """Return the 256 sorted values of 8-bit dynamic quantization (Dettmers et al., 2022, 1.3).

    After the sign come up to seven zeros: a power of ten. Then comes a one, and the bits that are
    left cut the range from 0.1 to 1 into equal parts, of which each stands for its middle.
    """
    import torch

    found = [0.0, 1.0]
    for exponent in range(7):
        bounds = torch.linspace(0.1, 1, 2**exponent + 1)
        middles = (bounds[:-1] + bounds[1:]) / 2
        power = 10 ** (exponent - 6)
        found += (power * middles).tolist() + (-power * middles).tolist()
    return torch.tensor(sorted(found))


def _blocks(flat: torch.Tensor, size: int) -> torch.Tensor:
    """Return `flat` [n] as rows of `size`, with zeros at the end of the last one."""
    import torch

    return torch.nn.functional.pad(flat, (0, -flat.numel() % size)).reshape(-1, size)

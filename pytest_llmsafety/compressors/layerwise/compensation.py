"""Change weights input by input, and let later weights make up for the error (GPTQ, SparseGPT).

`Hessian` collects H, the second moments of a layer's inputs. `Factor` says which change of all
later weights best makes up for the error of one. `sweep` goes through the inputs.

Both papers read the changes from the upper Cholesky factor U of the inverse of H, U^T U. With
H = R R^T, R upper triangular, U is the inverse of R: one factoring and one triangular inverse, and
H itself is never inverted.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pytest_llmsafety.errors import CompressionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from pytest_llmsafety.compressors.layerwise.layers import Layer

PANEL = 256  # columns of H made at a time: only the upper half of H is


@dataclass(frozen=True)
class Factor:
    """The inverse of H + damping as U^T U, for inputs in the order in which they are worked on.

    `shares` [in, in] is lower triangular with ones. To make up for an error e of weight k,
    shares[j, k] * e = U_kj / U_kk * e is taken from each later weight j. `spread` [in] is the
    diagonal of U: an error e costs (e / U_kk)^2 once that is done.
    `order` [in] are the inputs in working order, None where that is their own. `dead` [in] are
    the inputs, in their own order, that were 0 on every token.
    """

    shares: torch.Tensor
    spread: torch.Tensor
    order: torch.Tensor | None
    dead: torch.Tensor

    def arranged(self, weight: torch.Tensor) -> torch.Tensor:
        """Return a copy [in, out] of `weight` [out, in] in working order, zero at dead inputs."""
        import torch

        columns = weight.T.masked_fill(self.dead[:, None], 0)
        columns = columns if self.order is None else columns[self.order]
        return columns.clone(memory_format=torch.contiguous_format)

    def restored(self, columns: torch.Tensor) -> torch.Tensor:
        """Return the weight [out, in] whose arranged form is `columns` [in, out]."""
        import torch

        if self.order is None:
            return columns.T
        weight = torch.empty_like(columns)
        weight[self.order] = columns
        return weight.T


class Hessian:
    """H [in, in] = 2 / sequences * sum over tokens of x x^T, of one layer's inputs x."""

    def __init__(self, layer: Layer) -> None:
        """Start at zero, where the layer's weight is."""
        self.name = layer.name
        self.sequences = 0
        size = (layer.inputs, layer.inputs)
        self._sums = layer.weight.new_zeros(size, dtype=layer.working_dtype)
        self._factors: dict[tuple[float, bool], Factor] = {}

    def add(self, inputs: torch.Tensor, sequences: int) -> None:
        """Add the inputs [tokens, in] of some sequences."""
        import torch

        rows, size = inputs.to(self._sums.dtype), inputs.shape[1]
        short = inputs.is_cuda and inputs.dtype in (torch.float16, torch.bfloat16)
        with tf32_products(when=short):
            for start in range(0, size, PANEL):
                stop = min(start + PANEL, size)
                self._sums[start:stop, start:].addmm_(rows[:, start:stop].T, rows[:, start:])
        self.sequences += sequences
        self._factors.clear()

    @property
    def matrix(self) -> torch.Tensor:
        """Return H [in, in] as a new tensor."""
        upper = self._sums.triu() * (2 / self.sequences)
        return upper + upper.triu(1).T

    def factor(self, damp: float, *, by_size: bool = False) -> Factor:
        """Return the factor of H, made once for all layers of this input.

        `damp` is the share of the mean of H's diagonal that is added to it. With `by_size`
        the inputs are ordered by their diagonal of H, largest first. Dead inputs count as
        having H = 1. Raises CompressionError when H cannot be factored.
        """
        found = self._factors.get((damp, by_size))
        if found is None:
            try:
                found = factored(self.matrix, damp, by_size=by_size)
            except ValueError as error:
                message = f"{self.name}: {error} Give more tokens, or a larger damp= than {damp:g}."
                raise CompressionError(message) from None
            self._factors[damp, by_size] = found
        return found

    def notes(self, factor: Factor) -> tuple[str, ...]:
        """Return what the record notes about dead inputs."""
        dead = int(factor.dead.sum())
        text = (
            f"{self.name}: {dead} inputs are 0 on every calibration token; their weights became 0"
        )
        return (text,) if dead else ()


def factored(matrix: torch.Tensor, damp: float, *, by_size: bool = False) -> Factor:
    """Return the factor of H [in, in], which is changed.

    `damp` and `by_size` are explained at `Hessian.factor`. Raises ValueError when H is not positive
    definite.
    """
    import torch

    diagonal = matrix.diagonal()
    dead = diagonal == 0
    diagonal[dead] = 1
    order = torch.argsort(diagonal, descending=True, stable=True) if by_size else None
    diagonal += damp * diagonal.mean()
    if order is not None:
        matrix = matrix[order][:, order]
    # H = R R^T from below right to above left: the usual factor of H turned by 180 degrees
    turned, failed = torch.linalg.cholesky_ex(matrix.flip(0, 1))
    if failed:
        message = "the Hessian of its inputs is not positive definite."
        raise ValueError(message)
    one = torch.eye(len(turned), dtype=turned.dtype, device=turned.device)
    upper = torch.linalg.solve_triangular(turned.flip(0, 1), one, upper=True)
    spread = upper.diagonal().clone()
    return Factor((upper / spread[:, None]).T.contiguous(), spread, order, dead)


@contextmanager
def tf32_products(*, when: bool) -> Iterator[None]:
    """Let float32 products on a GPU use TF32, whose 11 bits hold 16-bit inputs without loss."""
    import torch

    try:
        before = torch.get_float32_matmul_precision() if when else ""
    except RuntimeError:  # the user set precisions one by one, which no longer mixes with this
        before = ""
    if before:
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        if before:
            torch.set_float32_matmul_precision(before)


class WeightChoice(Protocol):
    """Decides what weights become, as their turn comes; looks at `step` inputs together.

    A choice that rounds every weight to whole numbers:

        class Whole:
            step = 16

            def block(self, weights, start): ...

            def inputs(self, weights, start): ...

            def value(self, weight, index):
                return weight.round()
    """

    step: int

    def block(self, weights: torch.Tensor, start: int) -> None:
        """Look at the weights [n, out] of a block that begins, before any error inside it."""

    def inputs(self, weights: torch.Tensor, start: int) -> None:
        """Look at up to `step` weights [n, out], which make up for every error before them."""

    def value(self, weight: torch.Tensor, index: int) -> torch.Tensor:
        """Return what the weights [out] of input `index` become."""


def sweep(columns: torch.Tensor, factor: Factor, choice: WeightChoice, *, block: int) -> None:
    """Replace `columns` [in, out] by what `choice` makes of them, `block` inputs at a time.

    `columns` are as `Factor.arranged` gives them, so that what belongs to one input is contiguous.
    Errors are made up for in three steps: within a few columns one by one, within a block for a few
    columns at once, and after a block for all that follow. So most of the work is products of
    matrices.
    """
    import torch

    errors = torch.empty_like(columns)
    size, block = len(columns), -(-block // choice.step) * choice.step  # whole steps
    for start in range(0, size, block):
        stop = min(start + block, size)
        choice.block(columns[start:stop], start)
        for first in range(start, stop, choice.step):
            last = min(first + choice.step, stop)
            done, new = errors[start:first], errors[first:last]
            weights = columns[first:last].addmm(
                factor.shares[first:last, start:first], done, alpha=-1
            )
            choice.inputs(weights, first)
            _one_by_one(weights, new, factor.shares[first:last, first:last], choice, first)
            columns[first:last] = weights
        if stop < size:
            columns[stop:].addmm_(factor.shares[stop:, start:stop], errors[start:stop], alpha=-1)


def _one_by_one(
    weights: torch.Tensor,
    errors: torch.Tensor,
    shares: torch.Tensor,
    choice: WeightChoice,
    first: int,
) -> None:
    """Replace a few `weights` [n, out], the first of which is input `first`; fill in `errors`."""
    import torch

    rows = zip(weights.unbind(), errors.unbind(), strict=True)
    for index, (weight, error) in enumerate(rows):
        if index:
            weight.addmv_(errors[:index].T, shares[index, :index], alpha=-1)
        value = choice.value(weight, first + index)
        torch.sub(weight, value, out=error)
        weight.copy_(value)

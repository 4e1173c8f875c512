"""`wanda:0.5+dsnot`: a pruning step whose masks are repaired by exchanges (DSnoT).

Zhang et al., 2024, "Dynamic sparse no training: training-free fine-tuning for sparse LLMs".
What a row of a pruned layer lacks on average is the sum of its pruned weights times the mean
of their inputs. One exchange revives the pruned weight that helps most for the variance of
its input. It prunes the kept weight of the least Wanda score among those whose loss helps.

DSnoT needs the dense weights, and inputs that its own work on the blocks before has changed. So
this step carries out the pruning step before it, too. Each layer is pruned and repaired before
the next block is looked at, and no second copy of the model is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors.base import Compressor
from pytest_llmsafety.compressors.layer_compressor import LayerCompressor, Solved
from pytest_llmsafety.compressors.parameters import Key, Parameters, read
from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.specs import Step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.base import Context
    from pytest_llmsafety.compressors.layerwise.layers import Block, Layer
    from pytest_llmsafety.compressors.parameters import Values
    from pytest_llmsafety.compressors.record import CompressionRecord

WALK = (
    "dsnot walks as its authors' code does, which leaves rows with unequal numbers of zeros and "
    "made tiny models worse; dsnot:even does neither"
)
CYCLES = 50
THRESHOLD = 0.1


class Dsnot(Compressor):
    """Exchanges pruned for kept weights, to bring the mean output of each row back."""

    weights_only = True
    repairs_step_before = True
    parameters = Parameters(
        example="wanda:0.5+dsnot",
        flags=(
            ("all", "every layer, not only those of attention"),
            ("even", "each row keeps its number of zeros; always so after N:M"),
        ),
        keys=(
            Key("cycles", f"most exchanges a row ({CYCLES})", "whole", low=1),
            Key("threshold", f"the error that is small enough ({THRESHOLD})"),
        ),
        calibrated=True,
    )

    def follow(self, step: Step, before: Step | None, compressor: Compressor | None) -> None:
        """Raise ConfigurationError unless the step before prunes layer by layer."""
        if not isinstance(compressor, LayerCompressor) or not compressor.parameters.sparsity:
            message = (
                f"'{step}' repairs the masks of a pruning step right before it"
                + (f", and {before} is none. " if before else ", and there is none. ")
                + f"Write it like {self.parameters.example}."
            )
            raise ConfigurationError(message)
        assert before  # noqa: S101 - narrows a type
        values = read(step, self.parameters)
        read(_counted(before, values), replace(compressor.parameters, calibrated=True))

    def compress(self, model: PreTrainedModel, step: Step, context: Context) -> CompressionRecord:
        """Prune and repair every layer, block by block, and return the record."""
        values = read(step, self.parameters)
        assert context.before  # noqa: S101 - the chain is checked before
        before, compressor = context.before
        assert isinstance(compressor, LayerCompressor)  # noqa: S101 - the same
        record = Repaired(compressor, values).compress(model, _counted(before, values), context)
        own = tuple(row for row in values.rows() if row not in record.parameters)
        rows, notes = (*record.parameters, *own), record.notes
        if "even" not in values.flags and "pattern" not in dict(rows):
            notes = (*notes, WALK)
        return replace(record, method=f"{before}+{step}", parameters=rows, notes=notes)


def _counted(before: Step, values: Values) -> Step:
    """Return the step before with the nsamples= and seqlen= of this one."""
    given = [f"{name}={value}" for name, value in values.keys if name in ("nsamples", "seqlen")]
    return Step(before.method, ":".join([before.parameter, *given]))


@dataclass
class _Both:
    pruning: Any
    moments: InputMoments

    def add(self, inputs: torch.Tensor, sequences: int) -> None:
        if self.pruning is not None:
            self.pruning.add(inputs, sequences)
        self.moments.add(inputs, sequences)


class Repaired(LayerCompressor):
    """A pruning method followed by exchanges, layer by layer."""

    def __init__(self, pruning: LayerCompressor, own: Values) -> None:
        """Wrap the pruning method; `own` are the values of the dsnot step."""
        self.pruning, self.own = pruning, own
        self.calibrated = pruning.parameters.calibrated
        self.parameters = replace(pruning.parameters, calibrated=True)  # type: ignore[misc]
        limits = (int(own.number("cycles", CYCLES)), own.number("threshold", THRESHOLD))
        self.limits = Limits(*limits)

    def allocation(self, model: PreTrainedModel, values: Values) -> Mapping[str, float]:
        """Return the allocation of the pruning method."""
        return self.pruning.allocation(model, values)

    def prepare(
        self,
        model: PreTrainedModel,
        blocks: Sequence[Block],
        ids: torch.Tensor,
        *,
        values: Values,
        context: Context,
    ) -> None:
        """Let the pruning method look at the sequences."""
        self.pruning.prepare(model, blocks, ids, values=values, context=context)

    def statistics(self, layer: Layer) -> _Both:
        """Return a collector for the pruning method and for the moments of the inputs."""
        pruning = self.pruning.statistics(layer) if self.calibrated else None
        return _Both(pruning, InputMoments(layer))

    def statistics_of(self, layer: Layer, statistics: _Both) -> tuple[Any, InputMoments | None]:
        """Return the pruning method's statistics, and the moments for a layer to repair."""
        wanted = "all" in self.own.flags or "attention" in layer.name or "attn" in layer.name
        pruning = self.pruning.statistics_of(layer, statistics.pruning)
        return pruning, statistics.moments if wanted else None

    def solve(
        self,
        weight: torch.Tensor,
        statistics: tuple[Any, InputMoments | None],
        values: Values,
    ) -> Solved:
        """Prune, then exchange; a revived weight gets its dense value back."""
        dense = weight.clone()
        pruning, moments = statistics
        solved = self.pruning.solve(weight, pruning, values)
        if moments is None:
            return solved
        sparse = solved.weight
        field = field_of(dense, sparse, moments)
        if values.pattern or "even" in self.own.flags:
            neighbours = values.pattern[1] if values.pattern else None
            gone = evenly(field, self.limits, neighbours=neighbours)
        else:
            gone = as_published(field, self.limits)
        revived = sparse.where(~field.gone, dense)
        return replace(solved, weight=revived.masked_fill_(gone, 0))


@dataclass(frozen=True)
class Limits:
    """The most exchanges a row (`cycles`), and the error that is small enough (`threshold`).

    The error is that of a sum over the tokens of a sequence, as in the authors' code.
    """

    cycles: int = CYCLES
    threshold: float = THRESHOLD


class InputMoments:
    """Collects sum, sum of squares and variance of each input [in], as means over sequences.

    The variance is that within a sequence, as in the authors' code.
    """

    def __init__(self, layer: Layer) -> None:
        """Start at zero, where the layer's weight is."""
        self.sums, self.squares, self.variance = layer.weight.new_zeros(
            (3, layer.inputs), dtype=layer.working_dtype
        )
        self.sequences = 0

    def add(self, inputs: torch.Tensor, sequences: int) -> None:
        """Add inputs [tokens, in] of some sequences of one length."""
        import torch

        rows = inputs.to(self.sums.dtype)
        spread = torch.var(rows, dim=0, correction=0)
        total = self.sequences + sequences
        for kept, new in (
            (self.sums, rows.sum(dim=0)),
            (self.squares, rows.norm(dim=0) ** 2),
            (self.variance, sequences * spread),
        ):
            kept.mul_(self.sequences / total).add_(new / total)
        self.sequences = total


@dataclass(frozen=True)
class Field:
    """A pruned layer with what the exchanges compare, each [out, in].

    `gone` is the mask (True: zero). `gain` is what each weight adds to the mean output, the dense
    weight where it is gone. `worth` is the gain by variance where a weight is gone, 0 elsewhere.
    `cost` is the Wanda score where it is kept, infinity elsewhere. `error` [out, 1] is what a row
    lacks.
    """

    gone: torch.Tensor
    gain: torch.Tensor
    worth: torch.Tensor
    cost: torch.Tensor
    error: torch.Tensor


def field_of(dense: torch.Tensor, sparse: torch.Tensor, moments: InputMoments) -> Field:
    """Return the field of a layer that had the weight `dense` and has `sparse`."""
    import torch

    gone = sparse == 0
    gain = torch.where(gone, dense, sparse) * moments.sums
    lacks = (dense - sparse) * moments.sums
    worth = (gain.masked_fill(~gone, 0) / moments.variance).nan_to_num(nan=0.0)
    cost = (sparse.abs() * moments.squares.sqrt()).masked_fill(gone, torch.inf)
    return Field(gone, gain, worth, cost, lacks.sum(dim=1, keepdim=True))


def as_published(field: Field, limits: Limits) -> torch.Tensor:
    """Return the mask that the authors' code ends with.

    Each row walks through its candidates in two fixed orders, from the end that its error demands.
    As in that code, a row that is done goes on walking while others are not, and sets what it
    passes to zero. A row that has run out of pruned weights of the right sign goes on to kept ones.
    Such rows end with more zeros than they had.
    """
    import torch

    gone, error, width = field.gone.clone(), field.error.clone(), field.gone.shape[1]
    revive = torch.sort(field.worth, dim=1, stable=True).indices
    prune = _prune_order(field)
    ends = torch.ones_like(revive[:, :2])
    revive_at = ends * ends.new_tensor([0, width - 1])
    prune_at = torch.cat([ends[:, :1] * 0, (~gone).sum(dim=1, keepdim=True) - 1], dim=1)
    going = torch.ones_like(error, dtype=torch.bool)
    for _ in range(min(limits.cycles, width)):
        if not going.any():
            break
        revived = _walked(revive, revive_at, (error > 0).long())
        pruned = _walked(prune, prune_at, (error < 0).long())
        going = going & (error.abs() > limits.threshold)
        gone.scatter_(1, pruned, going).scatter_(1, revived, ~going)
        error = error + field.gain.gather(1, pruned).masked_fill(~going, 0)
        error = error - field.gain.gather(1, revived).masked_fill(~going, 0)
    return gone


def _prune_order(field: Field) -> torch.Tensor:
    """Return kept weights by score: first those of negative gain, then the others backwards."""
    import torch

    width = field.gone.shape[1]
    order = torch.sort(field.cost, dim=1, stable=True).indices
    rank = torch.arange(width, device=order.device).expand_as(order)
    keys = torch.where(field.gain.gather(1, order) < 0, rank, 3 * width - rank)
    keys = keys.masked_fill(field.gone.gather(1, order), 4 * width)
    return order.gather(1, keys.argsort(dim=1))


def _walked(order: torch.Tensor, at: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    """Return the next candidate of each row from its `end` (0 first, 1 last), and move `at` on."""
    place = at.gather(1, end)
    at.scatter_(1, end, place + 1 - 2 * end)
    return order.gather(1, place.clamp(min=0))


def evenly(field: Field, limits: Limits, *, neighbours: int | None = None) -> torch.Tensor:
    """Return the mask after exchanges one for one, so that each row keeps its number of zeros.

    An exchange that would not make the error smaller is not made, and the next best weight is
    tried. With `neighbours` (the M of N:M) both weights of an exchange are of one group of M.
    """
    import torch

    gone, error = field.gone.clone(), field.error.clone()
    worth, cost = field.worth.clone(), field.cost.clone()
    group = torch.arange(gone.shape[1], device=gone.device) // (neighbours or gone.shape[1])
    for _ in range(limits.cycles):
        sign = error.sign()
        best, revived = (worth * sign).max(dim=1, keepdim=True)
        helps = (field.gain * sign < 0) & (group == group[revived])
        least, pruned = cost.masked_fill(~helps, torch.inf).min(dim=1, keepdim=True)
        tried = (error.abs() > limits.threshold) & (best > 0)
        if not tried.any():
            break
        after = error + field.gain.gather(1, pruned) - field.gain.gather(1, revived)
        going = tried & least.isfinite() & (after.abs() < error.abs())
        gone.scatter_(1, revived, gone.gather(1, revived) & ~going)
        gone.scatter_(1, pruned, gone.gather(1, pruned) | going)
        worth.scatter_(1, revived, worth.gather(1, revived).masked_fill(tried, 0))
        cost.scatter_(1, pruned, cost.gather(1, pruned).masked_fill(going, torch.inf))
        error = torch.where(going, after, error)
    return gone

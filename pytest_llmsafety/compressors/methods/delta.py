"""`delta:BASE:1`: compress what fine-tuning changed (Delta-CoMe, Ping et al., 2024).

The dense model is the fine-tuned one. Its delta is its weights minus those of BASE. The larger a
singular component of the delta, the more bits it gets: 8 for the first 2, 3 for the next 32, 2
for as many more as the budget pays for. Both singular vectors are rounded by GPTQ in groups
of 128, first the right ones with the layer's inputs, then the left ones with what the right ones
make of these. `sign` keeps the sign of each weight's delta and its mean size (BitDelta, Liu et al.,
2024, without the training of that size).
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors import calibration
from pytest_llmsafety.compressors.base import Compressor
from pytest_llmsafety.compressors.layer_compressor import (
    LayerChange,
    Solved,
    apply,
    record_of_layers,
)
from pytest_llmsafety.compressors.layerwise.compensation import Hessian, factored, sweep
from pytest_llmsafety.compressors.layerwise.grid import find_grid
from pytest_llmsafety.compressors.layerwise.layers import (
    all_layers,
    check_finite,
    decoder_blocks,
    outside,
)
from pytest_llmsafety.compressors.layerwise.walk import walk
from pytest_llmsafety.compressors.methods.gptq import GridChoice
from pytest_llmsafety.compressors.parameters import Key, Parameters, Values, read
from pytest_llmsafety.compressors.record.file_sizes import dense_bytes
from pytest_llmsafety.errors import CompressionError, ConfigurationError, UnsupportedModelError
from pytest_llmsafety.models.locate import locate
from pytest_llmsafety.models.model_folder import TOKENIZER_FILES
from pytest_llmsafety.paths import user_path
from pytest_llmsafety.specs import Step

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.base import Context
    from pytest_llmsafety.compressors.layerwise.compensation import Factor
    from pytest_llmsafety.compressors.layerwise.layers import Block, Layer
    from pytest_llmsafety.compressors.record import CompressionRecord

FIRST, SECOND = 2, 32  # components with 8 and with 3 bits
GROUP, BLOCK, DAMP = 128, 128, 0.01
MOST_BITS = 8.0
AFTER_BASE = Parameters(
    example="delta:org/base:1",
    flags=(
        ("sign", "one bit for each weight instead of a budget"),
        ("nearest", "rounds without looking at calibration texts"),
    ),
    keys=(Key("damp", f"share of the Hessian's mean diagonal added to it ({DAMP})"),),
    calibrated=True,
)


@dataclass(frozen=True)
class DeltaBudget:
    """The bits of codes per weight (None: `sign`), and the other values of a step."""

    bits: float | None
    values: Values

    @property
    def nearest(self) -> bool:
        """Return whether the step works without calibration texts."""
        return self.bits is None or "nearest" in self.values.flags

    @property
    def damp(self) -> float:
        """Return the share of the Hessian's mean diagonal that is added to it."""
        return self.values.number("damp", DAMP)


class Delta(Compressor):
    """Gives each layer BASE's weight plus a compressed delta; all else stays fine-tuned."""

    parameters = Parameters(
        example=AFTER_BASE.example, rest="BASE:BITS or delta:BASE:sign", calibrated=True
    )
    weights_only = True

    def check(self, step: Step) -> None:
        """Refuse a missing BASE, a local one without config.json, and a wrong budget."""
        super().check(step)
        read_budget(step)
        folder = user_path(step.before_parts)
        local = folder.exists() or step.before_parts.startswith((".", "/", "~"))
        if local and not (folder / "config.json").is_file():
            message = f"'{step}': {folder} holds no config.json. Expected a Hugging Face folder."
            raise ConfigurationError(message)

    def looks_at_texts(self, step: Step) -> bool:
        """Return False with `nearest` or `sign`."""
        return not read_budget(step).nearest

    def compress(self, model: PreTrainedModel, step: Step, context: Context) -> CompressionRecord:
        """Compress the delta of every layer, block by block, and return the record.

        Raises ModelError when BASE cannot be loaded, and UnsupportedModelError when this model was
        not fine-tuned from it.
        """
        import torch

        budget = read_budget(step)
        blocks = decoder_blocks(model)
        check_finite(all_layers(blocks))
        base, notes = base_weights(model, step, context)
        before = dense_bytes(model)
        rows: tuple[tuple[str, str], ...] = ()
        found = _unvisited(blocks)
        if not budget.nearest:
            drawn = calibration.draw(model, context, budget.values)
            rows, found = drawn.rows(), _visited(model, blocks, drawn.ids, context)
        done: list[LayerChange] = []
        same: list[tuple[str, str]] = []
        with torch.no_grad(), closing(found):
            for layer, hessian in found:
                delta = layer.working_copy()
                own = base.pop(layer.name).to(delta)
                delta -= own
                if delta.any():
                    solved = compressed(delta, hessian, budget)
                    done.append(apply(layer, replace(solved, weight=solved.weight + own)))
                else:
                    same.append((layer.name, "equal to BASE"))
        values = replace(budget.values, keys=_recorded_keys(step, budget))
        skipped = (*same, *outside(model, blocks))
        record = record_of_layers(step, values, done, before=before, skipped=skipped)
        kept = "BASE is needed as well; what is outside these layers is kept as fine-tuned"
        return replace(record, calibration=rows, notes=(*record.notes, *notes, kept))


def read_budget(step: Step) -> DeltaBudget:
    """Read what follows BASE. Raises ConfigurationError that shows what is expected."""
    numbers = [part for part in step.parts if part[:1].isdigit() or part.startswith(".")]
    others = ":".join(part for part in step.parts if part not in numbers)
    values = read(Step("delta:BASE", others), AFTER_BASE)
    calibration.refuse_texts(step, values, "nearest", "sign")
    sign = "sign" in values.flags
    if len(numbers) != (0 if sign else 1):
        message = (
            f"'{step}': expected BASE and after it a budget in bits per weight, such as "
            f"{AFTER_BASE.example}, or the word sign instead of one."
        )
        raise ConfigurationError(message)
    try:
        bits = None if sign else float(numbers[0])
    except ValueError:
        bits = 0.0
    if bits is not None and not 0 < bits <= MOST_BITS:
        message = (
            f"'{step}': {numbers[0]} bits are outside (0, {MOST_BITS:g}]. Expected the bits of the "
            f"delta's codes per weight, 1 as in the paper: {AFTER_BASE.example}."
        )
        raise ConfigurationError(message)
    return DeltaBudget(bits, values)


def compressed(delta: torch.Tensor, hessian: Hessian | None, budget: DeltaBudget) -> Solved:
    """Return the compressed delta [out, in], and its bits per weight, scales included."""
    import torch

    if budget.bits is None:
        return Solved(delta.abs().mean() * delta.sign(), 1 + 16 / delta.numel())
    outputs, inputs = delta.shape
    left, sizes, right = torch.linalg.svd(delta, full_matrices=False)
    total, stored, start = torch.zeros_like(delta), 0.0, 0
    columns = int(budget.bits * outputs * inputs / (outputs + inputs))
    noise = float(sizes[0]) * torch.finfo(delta.dtype).eps * max(delta.shape)
    for bits, count in shared_out(columns, int((sizes > noise).sum())):
        part = slice(start, start + count)
        start += count
        try:
            total += _component(left[:, part], sizes[part], right[part], hessian, (bits, budget))
        except ValueError as error:
            message = f"{hessian.name if hessian else ''}: {error} Give more tokens, or damp=0.1."
            raise CompressionError(message) from None
        stored += _stored(bits, count, outputs, inputs, ordered=hessian is not None)
    return Solved(total, stored / delta.numel())


def shared_out(columns: int, full: int) -> tuple[tuple[int, int], ...]:
    """Return (bits, number of components) for a budget `columns` of bits times components.

    `full` is the rank of the delta. The first 2 get 8 bits (at least one does), the next 32 get 3,
    others 2. What is left when all have some gives components more bits, the largest first.
    """
    first = max(1, min(FIRST, full, columns // 8))
    columns = max(0, columns - 8 * first)
    second = min(SECOND, full - first, columns // 3)
    columns -= 3 * second
    third = min(full - first - second, columns // 2)
    columns -= 2 * third
    if first + second + third == full:
        finer = min(third, columns)
        second, third, columns = second + finer, third - finer, columns - finer
        finer = min(second, columns // 5)
        first, second = first + finer, second - finer
    return tuple((bits, n) for bits, n in ((8, first), (3, second), (2, third)) if n)


def _component(
    left: torch.Tensor,
    sizes: torch.Tensor,
    right: torch.Tensor,
    hessian: Hessian | None,
    how: tuple[int, DeltaBudget],
) -> torch.Tensor:
    """Return some components [out, in] with both vectors rounded; ValueError for a bad Hessian."""
    bits, budget = how
    factor = hessian.factor(budget.damp, by_size=True) if hessian else None
    inner = sizes[:, None] * _rounded(right.contiguous(), bits, factor)
    if hessian is not None:
        factor = factored(inner @ hessian.matrix @ inner.T, budget.damp, by_size=True)
    return _rounded(left.contiguous(), bits, factor) @ inner


def _rounded(vectors: torch.Tensor, bits: int, factor: Factor | None) -> torch.Tensor:
    """Return vectors [rows, n] on grids of 128 neighbours, rounded by GPTQ if there is a factor."""
    import torch

    if factor is None:
        groups = torch.split(vectors, GROUP, dim=1)
        return torch.cat([find_grid(group, bits).rounded(group) for group in groups], dim=1)
    columns = factor.arranged(vectors)
    choice = GridChoice(vectors, columns, factor, Values(bits=bits, group_size=GROUP))
    sweep(columns, factor, choice, block=BLOCK)
    return factor.restored(columns)


def _stored(bits: int, count: int, outputs: int, inputs: int, *, ordered: bool) -> float:
    """Return the bits of `count` components: codes, scales, zero points, sizes, the order."""
    codes = bits * count * (outputs + inputs)
    groups = count * -(-inputs // GROUP) + outputs * -(-count // GROUP)
    return codes + (16 + bits) * groups + 16 * count + (32 * (inputs + count) if ordered else 0)


def _unvisited(blocks: tuple[Block, ...]) -> Generator[tuple[Layer, Hessian | None], None, None]:
    for layer in all_layers(blocks):
        yield layer, None


def _visited(
    model: PreTrainedModel, blocks: tuple[Block, ...], ids: torch.Tensor, context: Context
) -> Generator[tuple[Layer, Hessian | None], None, None]:
    visits = walk(model, blocks, ids, device=context.device, progress=context.progress)
    with closing(visits):
        for visit in visits:
            found = visit.statistics(Hessian)
            for layer in visit.layers:
                if layer.name in found:
                    yield layer, found[layer.name]


def _recorded_keys(step: Step, budget: DeltaBudget) -> tuple[tuple[str, float | int | str], ...]:
    amount = "sign" if budget.bits is None else f"{budget.bits:g}"
    rows = (("base", step.before_parts), ("bits of the codes", amount), *budget.values.keys)
    return tuple(rows)


def base_weights(
    model: PreTrainedModel, step: Step, context: Context
) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """Load BASE, and return its weight [out, in] of each layer, on the CPU, and notes.

    BASE is loaded in the model's dtype. Raises ModelError when that fails, and
    UnsupportedModelError when class, layers, shapes or tokens are not those of `model`.
    """
    from pytest_llmsafety.models.load import load_model

    spec = step.model
    assert spec is not None  # noqa: S101 - narrows a type
    folder = locate(spec, tokenizer=False)
    notes = _check_tokens(step, folder, context)
    dtype = str(model.dtype).removeprefix("torch.")
    base = load_model(folder, dtype=dtype, device="cpu")
    if type(base) is not type(model):
        raise _no_base(step, f"it is a {type(base).__name__}, the model a {type(model).__name__}")
    found = {layer.name: layer.weight for layer in all_layers(decoder_blocks(base))}
    for layer in all_layers(decoder_blocks(model)):
        there = found.get(layer.name)
        if there is None or there.shape != layer.weight.shape:
            shape = "absent" if there is None else _size(there)
            raise _no_base(step, f"{layer.name} is {shape} there and {_size(layer.weight)} here")
    return found, notes


def _check_tokens(step: Step, folder: Path, context: Context) -> tuple[str, ...]:
    """Raise unless every token of BASE has the same number here; return a note where unknown."""
    from pytest_llmsafety.models.tokenizer import load_tokenizer

    if context.tokenizer is None:
        return ("the tokenizers were not compared: none was given for the fine-tuned model",)
    if not any(next(folder.glob(pattern), None) for pattern in TOKENIZER_FILES):
        return ("the tokenizers were not compared: BASE has none",)
    base: Any = load_tokenizer(folder)
    own: Any = context.tokenizer
    mine = own.get_vocab()
    moved = [token for token, number in base.get_vocab().items() if mine.get(token) != number]
    if moved:
        why = f"{len(moved)} of its tokens have another number here or none ({moved[0]!r})"
        raise _no_base(step, why)
    return ()


def _size(weight: torch.Tensor) -> str:
    return " x ".join(map(str, weight.shape))


def _no_base(step: Step, why: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"'{step}': {step.before_parts} is not what this model was fine-tuned from: {why}. "
        "Nothing was changed. Expected a model of the same architecture, shapes and tokens."
    )

"""Compare a compressed model with the dense one: which parameters changed, and which stayed.

`ParameterFacts` holds for every parameter of the dense model a digest of each of its matrices and a
few of its values. After the compression the model is compared with these. A stack of experts counts
matrix by matrix. A matrix with any changed value counts whole, because pruning leaves most values
alone. A matrix whose values moved by at most a rounding counts as one that stayed, unless it is
stored in fewer bits.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.record import CompressionRecord

Kept = tuple[str, int, float, str, str]
"""What stayed: name, number of matrices, share of all parameters, place, reason."""
Row = tuple[str, str, tuple[int, ...], tuple[str, ...], tuple[tuple[float, ...], ...]]

BODY, EMBEDDING, HEAD = "between embedding and head", "input embedding", "output embedding"
STACK = 3
"""Dimensions of a parameter that holds one matrix for each expert."""
SAMPLE, SAMPLE_OF_STACK = 4096, 512
"""Values kept of a matrix."""
FEW = 64
"""Of these, the values that a baseline keeps."""
ULP = 2.0**-7
"""The largest relative size of one unit in the last place of bfloat16."""
SMALLEST = 2.0**-24
"""The smallest positive value of float16: below it a cast can lose all of a value."""
HALF = 16
CHUNK = 2**20
MOST_KEPT = 40
LISTED = 3
SHOWN = 0.01
"""The least share of the parameters that a header mentions."""
UNCHANGED = "its values did not change"
ROUNDED = "its values moved by at most a rounding, and it is not stored in fewer bits"
REPLACED = "it was split into other parameters, which cannot be compared"
IN_A_BLOCK = re.compile(r"\.\d+\.")
VECTORS = "norms, biases and other vectors"


@dataclass(frozen=True)
class ParameterFacts:
    """What is kept of one parameter of a dense model, to compare with after a change.

    `place` is BODY, EMBEDDING or HEAD. `digests` holds one digest for each matrix of the
    parameter: a stack of experts [experts, rows, columns] has as many as experts, any other
    parameter one. `samples` [matrices, values] holds some of their values.
    """

    name: str
    place: str
    shape: tuple[int, ...]
    digests: tuple[str, ...]
    samples: torch.Tensor

    @property
    def count(self) -> int:
        """Return the number of values."""
        import math

        return math.prod(self.shape)

    @property
    def row(self) -> Row:
        """Return the same as plain values, with fewer of the samples, for a file."""
        samples = tuple(map(tuple, self.samples[:, :FEW].tolist()))
        return self.name, self.place, self.shape, self.digests, samples

    @classmethod
    def of(cls, row: Row) -> ParameterFacts:
        """Read what `row` returned."""
        import torch

        return cls(*row[:4], torch.tensor(row[4]))

    @property
    def layer(self) -> str:
        """Return the name in a record: that of the layer if this is its weight."""
        return self.name.removesuffix(".weight")


@dataclass(frozen=True)
class Coverage:
    """What a compression changed among all parameters.

    `changed` and `body` are shares (0-1) of all parameters and of those between embedding and
    head. `rounded` is the share of all parameters that moved by at most a rounding. `kept` is what
    stayed, the largest first.
    """

    changed: float
    body: float
    rounded: float
    kept: tuple[Kept, ...]


def parameter_facts(model: PreTrainedModel) -> tuple[ParameterFacts, ...]:
    """Return what identifies every parameter, shared ones once; keeps no copy of them."""
    places = _places(model)
    return tuple(
        ParameterFacts(
            name,
            places.get(parameter.data_ptr(), BODY),
            tuple(parameter.shape),
            tuple(fingerprint(part) for part in parts),
            _samples(parts),
        )
        for name, parameter in distinct_parameters(model)
        if (parts := _matrices(plain_values(parameter, codes=True)))
    )


def compare(
    dense: Sequence[ParameterFacts],
    model: PreTrainedModel,
    layers: Iterable[tuple[str, float, float]] = (),
    skipped: Iterable[tuple[str, str]] = (),
) -> Coverage:
    """Return what differs between `model` and the facts about the dense one.

    `layers` holds (layer, stored bits, sparsity), and `skipped` (layer, reason) of the record.
    """
    bits = {name: each for name, each, _ in layers}
    reasons = dict(skipped)
    total = sum(one.count for one in dense) or 1
    body = sum(one.count for one in dense if one.place == BODY) or 1
    changed = changed_body = rounded = 0.0
    kept: dict[tuple[str, str, str], list[float]] = defaultdict(lambda: [0, 0])
    for one in dense:
        left = _kept(one, model, bits.get(one.layer, bits.get(one.name)))
        n_kept = sum(left.values())
        share = one.count * (1 - n_kept / len(one.digests))
        changed += share
        changed_body += share if one.place == BODY else 0
        for why, matrices in left.items():
            row = kept[_pattern(one), one.place, _reason(one, why, reasons, matrices)]
            share = one.count * matrices / len(one.digests) / total
            row[0] += matrices
            row[1] += share
            rounded += share if why is ROUNDED else 0
    rows = [(name, int(n), share, place, why) for (name, place, why), (n, share) in kept.items()]
    rows.sort(key=lambda row: -row[2])
    return Coverage(changed / total, changed_body / body, rounded, _shortened(rows))


def altered(
    dense: Sequence[ParameterFacts], model: PreTrainedModel
) -> tuple[list[ParameterFacts], list[ParameterFacts]]:
    """Return the parameters of which any value changed, however little, and the others."""
    changed: list[ParameterFacts] = []
    same: list[ParameterFacts] = []
    for one in dense:
        now = current(model, one)
        parts = () if now is None else _matrices(now)
        (same if tuple(map(fingerprint, parts)) == one.digests else changed).append(one)
    return changed, same


def share_text(record: CompressionRecord) -> str:
    """Return how much of the model changed, for a header; empty where it is not known."""
    if record.leaves_weights:
        return "weights as they were"
    if record.architecture:
        return record.architecture
    if record.changed_share is None or record.changed_body_share is None:
        return ""
    rounded = record.rounded_share
    return (
        f"{percent(record.changed_share)} of the parameters changed "
        f"({percent(record.changed_body_share)} between embedding and head)"
        f"{f', {percent(rounded)} moved by a rounding only' if rounded >= SHOWN else ''}"
    )


def percent(share: float) -> str:
    """Return a share as a whole percentage; 0% and 100% mean exactly nothing and all."""
    if 0 < share < 0.01:  # noqa: PLR2004 - one percent
        return "under 1%"
    return f"{100 * share:.3g}%" if 0.99 < share < 1 else f"{share:.0%}"  # noqa: PLR2004


def kept_text(kept: Sequence[Kept]) -> str:
    """Return the three largest parts between embedding and head that stayed, in words."""
    rows = [row for row in kept if row[3] == BODY]
    parts = [
        f"{', '.join(f'{row[0]} ({percent(row[2])} of all parameters)' for row in alike)}: {why}"
        for why, alike in groupby(rows[:LISTED], key=lambda row: row[4])
    ]
    more = len(rows) - LISTED
    return "; ".join(parts) + (f"; and {more} more" if more > 0 else "")


def plain_values(tensor: torch.Tensor, *, codes: bool = False) -> torch.Tensor | None:
    """Return the values of a tensor that may be packed; None where it does not give them.

    torchao and quanto keep codes and scales in subclasses of Tensor, which `dequantize` unpacks.
    With `codes` a tensor of integers stands for itself.
    """
    import torch

    value: Any = tensor.detach()
    if type(value) not in (torch.Tensor, torch.nn.Parameter) and hasattr(value, "dequantize"):
        try:
            value = value.dequantize()
        except (RuntimeError, NotImplementedError, TypeError, ValueError):
            return None
    return value if (codes or value.is_floating_point()) and not value.is_meta else None


def fingerprint(matrix: torch.Tensor) -> str:
    """Return a digest of the bytes of a tensor, computed where the tensor is.

    It is the sum of its 64-bit words times fixed odd numbers, modulo 2**64. It finds every change
    of one word, and misses another change with a probability of about 2**-60. It does not protect
    against somebody who wants to hide a change.
    """
    import torch

    raw = matrix.detach().contiguous().reshape(-1).view(torch.uint8)
    if raw.numel() % 8:
        raw = torch.nn.functional.pad(raw, (0, -raw.numel() % 8))
    odd = _odd_numbers(str(raw.device))
    found = raw.numel()
    for words in torch.split(raw.view(torch.int64), CHUNK):
        found = (found * 6364136223846793005 + int((words * odd[: len(words)]).sum())) % 2**64
    return f"{found:016x}"


@cache
def _odd_numbers(device: str) -> torch.Tensor:
    import torch

    drawn = torch.Generator().manual_seed(0)
    limits = torch.iinfo(torch.int64)
    numbers = torch.randint(limits.min, limits.max, (CHUNK,), generator=drawn, dtype=torch.int64)
    return (numbers | 1).to(device)


def distinct_parameters(model: PreTrainedModel) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield each parameter once; tied ones under their first name."""
    seen: set[tuple[int, tuple[int, ...]]] = set()
    for name, parameter in model.named_parameters():
        place = (parameter.data_ptr(), tuple(parameter.shape))
        if parameter.numel() and (place not in seen or not place[0]):
            seen.add(place)  # a tensor that wraps others has no address
            yield name, parameter


def _places(model: PreTrainedModel) -> dict[int, str]:
    """Return EMBEDDING or HEAD by address of a parameter; a tied head is an embedding.

    A table inside a block is no input embedding: Doge keeps its experts in such.
    """
    import torch

    output = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    head = list(output.parameters()) if output is not None else []
    tables = [
        module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Embedding) and not IN_A_BLOCK.search(name)
    ]
    inputs = [parameter for table in tables for parameter in table.parameters()]
    return {one.data_ptr(): HEAD for one in head} | {one.data_ptr(): EMBEDDING for one in inputs}


def _matrices(parameter: torch.Tensor | None) -> Sequence[torch.Tensor]:
    """Return the matrices of a stack, or the parameter alone; nothing of one without values."""
    if parameter is None:
        return ()
    is_stack = parameter.dim() == STACK and min(parameter.shape[1:]) > 1
    return parameter.unbind(0) if is_stack else (parameter,)


def _samples(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return some values of each matrix [matrices, values] in main memory, in float32."""
    import torch

    most = SAMPLE if len(parts) == 1 else SAMPLE_OF_STACK
    count = parts[0].numel()
    step = int(count * 0.6180339887) | 1  # spreads over the matrix, whatever its width
    at = torch.arange(min(most, count), dtype=torch.int64) * step % count
    rows = [part.reshape(-1)[at.to(part.device)].float().cpu() for part in parts]
    return torch.stack(rows)


def _kept(one: ParameterFacts, model: PreTrainedModel, bits: float | None) -> dict[str, int]:
    now = current(model, one)
    if now is None:
        return {REPLACED: len(one.digests)} if _is_elsewhere(model, one) else {}
    if tuple(now.shape) != one.shape:
        return {}
    parts = _matrices(now)
    new = _samples(parts)
    left: dict[str, int] = defaultdict(int)
    for digest, part, before, after in zip(one.digests, parts, one.samples, new, strict=True):
        if fingerprint(part) == digest:
            left[UNCHANGED] += 1
        elif _is_rounding(before, after, 8.0 * part.element_size() if bits is None else bits):
            left[ROUNDED] += 1
    return left


def _is_rounding(before: torch.Tensor, after: torch.Tensor, bits: float) -> bool:
    """Return whether values moved by at most one unit in the last place of 16 bits.

    `before` [values] counts as 16 bits where 16 bits hold each value; stored in fewer `bits` it is
    no rounding. Integer grids and pruning move small values by their whole size; casts do not.
    """
    import torch

    halves = (torch.bfloat16, torch.float16)
    short = any(torch.equal(before.to(kind).float(), before) for kind in halves)
    if bits < (HALF if short else 2 * HALF):
        return False
    spread = float(before.square().mean().sqrt())
    most = before.abs() * ULP + min(SMALLEST, spread * 2**-10)
    return bool(((after[: len(before)] - before).abs() <= most).all())


def current(model: PreTrainedModel, one: ParameterFacts) -> torch.Tensor | None:
    """Return the values that a parameter has now; None where they are packed, replaced or gone."""
    import torch

    module, leaf = _owner(model, one)
    if module is None or (leaf == "weight" and _is_rounded_when_run(module)):
        return None
    found = getattr(module, leaf, None)
    if not isinstance(found, torch.Tensor):
        alike = (value for value in _floats(module) if tuple(value.shape) == one.shape)
        found = next(alike, None)  # in a module that wraps the former one
    values = None if found is None else plain_values(found)
    return values if values is not None and values.is_floating_point() else None


def zero_share(model: PreTrainedModel, one: ParameterFacts) -> float:
    """Return the share of exact zeros in a parameter now; 0 where it is packed or gone."""
    now = current(model, one)
    return 0.0 if now is None else 1 - int(now.count_nonzero()) / now.numel()


def _is_elsewhere(model: PreTrainedModel, one: ParameterFacts) -> bool:
    """Return whether a module has as many plain values as the parameter had, in other shapes.

    Experts that were taken out of their stack are an example. Nobody can see whether they changed,
    so they do not count as changed.
    """
    import torch

    module, leaf = _owner(model, one)
    if module is None or isinstance(getattr(module, leaf, None), torch.Tensor):
        return False
    if any(map(_is_rounded_when_run, module.modules())):
        return False
    return sum(value.numel() for value in _floats(module)) >= one.count


def _owner(model: PreTrainedModel, one: ParameterFacts) -> tuple[torch.nn.Module | None, str]:
    """Return the module that had a parameter, None where it is gone, and the name in it."""
    name, _, leaf = one.name.rpartition(".")
    try:
        return model.get_submodule(name), leaf
    except AttributeError:
        return None, leaf


def _is_rounded_when_run(module: torch.nn.Module) -> bool:
    """Return whether compressed-tensors rounds the weight of a module at each forward pass."""
    scheme = getattr(module, "quantization_scheme", None)
    return getattr(scheme, "weights", None) is not None


def _floats(module: torch.nn.Module) -> Iterator[torch.Tensor]:
    """Yield the parameters and buffers of at least 16 bits in and below a module."""
    for value in (*module.parameters(), *module.buffers()):
        if value.is_floating_point() and value.element_size() >= HALF // 8:
            yield value


def _reason(one: ParameterFacts, why: str, reasons: Mapping[str, str], matrices: int) -> str:
    """Return why a parameter stayed: the reason of the method where it gives one."""
    if matrices < len(one.digests):
        return f"a part of its stack: {why}"
    return reasons.get(one.layer, reasons.get(one.name, why)) if why == UNCHANGED else why


def _pattern(one: ParameterFacts) -> str:
    """Return the name of a parameter with `*` for its block; all vectors have one name."""
    if one.place == BODY and len(one.shape) < 2:  # noqa: PLR2004 - a matrix has two dimensions
        return VECTORS
    return IN_A_BLOCK.sub(".*.", one.layer)


def _shortened(rows: Sequence[Kept]) -> tuple[Kept, ...]:
    """Return the rows, with the smallest of very many as one row."""
    rest = rows[MOST_KEPT:]
    if not rest:
        return tuple(rows)
    last = ("others", sum(row[1] for row in rest), sum(row[2] for row in rest), BODY, UNCHANGED)
    return (*rows[:MOST_KEPT], last)

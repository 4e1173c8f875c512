"""Make the record of a whole compression from the records of its steps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_llmsafety.compressors.record.architecture import same_body
from pytest_llmsafety.compressors.record.coverage import compare
from pytest_llmsafety.errors import NothingCompressed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.compressors.record.coverage import ParameterFacts
    from pytest_llmsafety.specs import CompressionSpec

LOST_ZEROS = 0.01


def require_changes(
    model: PreTrainedModel, spec: CompressionSpec, records: list[CompressionRecord]
) -> None:
    """Raise NothingCompressed that names a step which changed nothing."""
    for record in records:
        if not record.layers_changed:
            skipped = "; ".join(f"{name}: {reason}" for name, reason in record.layers_skipped[:3])
            who = f"'{spec}'" if len(records) == 1 else f"the step {record.method} of '{spec}'"
            message = (
                f"{who} changed no layer of {type(model).__name__}. Expected at least one Linear "
                f"or Conv1D to change. {skipped or 'None was found.'}"
            )
            raise NothingCompressed(message)


def merged(spec: CompressionSpec, records: list[CompressionRecord]) -> CompressionRecord:
    """Return one record of all steps, with sizes and shares after the last that changes weights.

    A layer has the fewest bits that a step gave it, and the zeros that the last step left. A step
    that undoes zeros of one before it is noted: some grids have no exact zero.
    """
    last = ([record for record in records if not record.leaves_weights] or records)[-1]
    inputs = [one.activation_bits for one in records if one.activation_bits is not None]
    cache = [one.cache_bits for one in records if one.cache_bits is not None]
    changed = dict.fromkeys(name for record in records for name in record.layers_changed)
    layers: dict[str, tuple[str, float, float]] = {}
    for name, bits, zeros in (row for record in records for row in record.layers):
        layers[name] = (name, min(bits, layers[name][1]) if name in layers else bits, zeros)
    notes = [note for record in records for note in record.notes]
    most = max(record.sparsity for record in records)
    if most - last.sparsity > LOST_ZEROS:
        notes.append(
            f"{last.method} undid zeros: {most:.0%} of the weights were zero before it, and "
            f"{last.sparsity:.0%} are now"
        )
    return replace(
        last,
        method=str(spec),
        parameters=tuple(item for record in records for item in record.parameters),
        layers_changed=tuple(changed),
        bits=min(record.bits for record in records),
        bytes_before=records[0].bytes_before,
        notes=tuple(notes),
        layers=tuple(layers.values()),
        calibration=tuple(item for record in records for item in record.calibration),
        activation_bits=min(inputs, default=None),
        cache_bits=min(cache, default=None),
        architecture=next((one.architecture for one in records if one.architecture), ""),
    )


def with_coverage(
    record: CompressionRecord, model: PreTrainedModel, dense: Sequence[ParameterFacts]
) -> CompressionRecord:
    """Return the record with the share of all parameters that changed since the dense model.

    A model of another architecture has no such share, unless all between embedding and head has
    its counterpart.
    """
    if record.leaves_weights or not dense:
        return record
    if record.architecture and not same_body(dense, model):
        return record
    found = compare(dense, model, record.layers, record.layers_skipped)
    return replace(
        record,
        changed_share=found.changed,
        changed_body_share=found.body,
        rounded_share=found.rounded,
        kept=found.kept,
    )

"""Make a model smaller: one compressor a file, loaded when its name is asked for."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.errors import ConfigurationError, NothingCompressed, UnknownNameError
from pytest_llmsafety.registry import Registry
from pytest_llmsafety.specs import DENSE, CompressionSpec, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pytest_llmsafety.compressors.base import Compressor

__all__ = ["COMPRESSORS", "CompressionRecord", "check", "compress"]

COMPRESSORS = Registry(
    "compressor",
    {
        "checkpoint": "pytest_llmsafety.compressors.checkpoint:Checkpoint",
        "float8": "pytest_llmsafety.compressors.quanto:Float8",
        "int2": "pytest_llmsafety.compressors.quanto:Int2",
        "int4": "pytest_llmsafety.compressors.quanto:Int4",
        "int8": "pytest_llmsafety.compressors.quanto:Int8",
        "phantom": "pytest_llmsafety.compressors.phantom:PhantomChange",
    },
)


def check(spec: CompressionSpec) -> None:
    """Raise a named error when `spec` cannot be carried out; imports no torch.

    Raises UnknownNameError for an unknown method, and ConfigurationError for a parameter
    that the method does not take, a checkpoint that is not the first step or `dense` beside
    another step.
    """
    if spec.is_dense:
        return
    for number, step in enumerate(spec.steps):
        if step.method == DENSE:
            message = f"'{spec}': dense is the model as it is (an A/A run). Give it alone."
            raise ConfigurationError(message)
        if number and step.method == "checkpoint":
            message = f"'{spec}': checkpoint replaces the model, so it can only come first."
            raise ConfigurationError(message)
        compressor_for(step).check(step)


def compressor_for(step: Step) -> Compressor:
    """The compressor of one step: from the table, or the user's own `module:function`."""
    if step.method in COMPRESSORS:
        return COMPRESSORS.load(step.method)()  # type: ignore[no-any-return]
    if not step.parameter.isidentifier():
        raise UnknownNameError(
            COMPRESSORS.kind, step.method, [*COMPRESSORS.names(), DENSE, "module:function"]
        )
    from pytest_llmsafety.compressors.function import OwnFunction

    return OwnFunction()


def compress(
    model: PreTrainedModel,
    spec: CompressionSpec | str,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    calibration: Sequence[str] | None = None,
    seed: int = 0,
) -> CompressionRecord:
    """Compress a loaded model in place, step after step, and say what was done.

    The model stays a plain Hugging Face model: quantized weights are written back as the
    values that they stand for, so it answers as the quantized model does, at dense speed;
    the packed size is in the record. `tokenizer`, `calibration` texts and `seed` serve the
    methods that look at activations.

    Raises UnknownNameError for an unknown method and NothingCompressed when no layer changed.
    """
    spec = CompressionSpec.parse(spec) if isinstance(spec, str) else spec
    check(spec)
    started = time.perf_counter()
    records = [
        compressor_for(step).compress(
            model, step, tokenizer=tokenizer, calibration=calibration, seed=seed
        )
        for step in spec.steps
    ]
    record = replace(merged(spec, records), seconds=time.perf_counter() - started)
    if not record.layers_changed:
        skipped = "; ".join(f"{name}: {reason}" for name, reason in record.layers_skipped[:3])
        message = (
            f"'{spec}' changed no layer of {type(model).__name__}. Expected at least one Linear "
            f"or Conv1D to change. {skipped or 'None was found.'}"
        )
        raise NothingCompressed(message)
    return record


def merged(spec: CompressionSpec, records: list[CompressionRecord]) -> CompressionRecord:
    """One record of all steps: sizes and shares as the last step left them."""
    changed = dict.fromkeys(name for record in records for name in record.layers_changed)
    return replace(
        records[-1],
        method=str(spec),
        parameters=tuple(item for record in records for item in record.parameters),
        layers_changed=tuple(changed),
        bits=min(record.bits for record in records),
        bytes_before=records[0].bytes_before,
        notes=tuple(note for record in records for note in record.notes),
    )

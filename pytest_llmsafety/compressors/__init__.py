"""Make a model smaller: one compressor a file, loaded when its name is asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_llmsafety.compressors.architecture import same_body
from pytest_llmsafety.compressors.base import Context
from pytest_llmsafety.compressors.coverage import compare, remember
from pytest_llmsafety.compressors.on_disk import as_stored, stored_dense
from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.compressors.watch import measured, whole_or_unusable
from pytest_llmsafety.errors import ConfigurationError, NothingCompressed, UnknownNameError
from pytest_llmsafety.registry import Registry
from pytest_llmsafety.specs import ALPHAPRUNING, DENSE, CompressionSpec, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pytest_llmsafety.compressors.base import Before, Compressor
    from pytest_llmsafety.compressors.coverage import Remembered
    from pytest_llmsafety.compressors.dense import DenseFacts
    from pytest_llmsafety.types import CalibrationTexts

__all__ = ["COMPRESSORS", "CompressionRecord", "check", "compress"]

COMPRESSORS = Registry(
    "compressor",
    {
        "a8": "pytest_llmsafety.compressors.activations:Dynamic",
        "a8-static": "pytest_llmsafety.compressors.activations:Static",
        "awq": "pytest_llmsafety.compressors.awq:Awq",
        "bnb": "pytest_llmsafety.compressors.bnb:BitsAndBytes",
        "checkpoint": "pytest_llmsafety.compressors.checkpoint:Checkpoint",
        "delta": "pytest_llmsafety.compressors.delta:Delta",
        "dsnot": "pytest_llmsafety.compressors.dsnot:Dsnot",
        "float8": "pytest_llmsafety.compressors.quanto:Float8",
        "fp4": "pytest_llmsafety.compressors.fourbit:Float4",
        "gblm": "pytest_llmsafety.compressors.gblm:Gblm",
        "gguf": "pytest_llmsafety.compressors.checkpoint:Gguf",
        "gptq": "pytest_llmsafety.compressors.gptq:Gptq",
        "int2": "pytest_llmsafety.compressors.quanto:Int2",
        "int4": "pytest_llmsafety.compressors.quanto:Int4",
        "int8": "pytest_llmsafety.compressors.quanto:Int8",
        "kv": "pytest_llmsafety.compressors.kvcache:KeyValueCache",
        "llm-pruner": "pytest_llmsafety.compressors.llm_pruner:LlmPruner",
        "llm.int8": "pytest_llmsafety.compressors.llmint8:LlmInt8",
        "llmcompressor": "pytest_llmsafety.compressors.llm_compressor:LlmCompressor",
        "magnitude": "pytest_llmsafety.compressors.magnitude:Magnitude",
        "nf4": "pytest_llmsafety.compressors.fourbit:NormalFloat4",
        "phantom": "pytest_llmsafety.compressors.phantom:PhantomChange",
        "rtn": "pytest_llmsafety.compressors.rtn:RoundToNearest",
        "sparsegpt": "pytest_llmsafety.compressors.sparsegpt:SparseGpt",
        "wanda": "pytest_llmsafety.compressors.wanda:Wanda",
    },
)


LOST_ZEROS = 0.01
REPLACE = ("checkpoint", "gguf")
"""Methods that put a model from files in the place of the dense one."""
KV = ("kv:int2", "kv:int4", "kv:int8")


def check(spec: CompressionSpec) -> None:
    """Raise a named error when `spec` cannot be carried out; imports no torch.

    Raises UnknownNameError for an unknown method, and ConfigurationError for a parameter
    that the method does not take, a seed that nothing depends on, a checkpoint that is not the
    first step, a kv that is not the last, two steps that round the inputs of layers, a repair
    with nothing to repair before it, or `dense` beside another step.
    """
    if spec.is_dense:
        return
    for number, step in enumerate(spec.steps):
        if step.method == DENSE:
            message = f"'{spec}': dense is the model as it is (an A/A run). Give it alone."
            raise ConfigurationError(message)
        if number and step.method in REPLACE:
            message = f"'{spec}': {step.method} replaces the model, so it can only come first."
            raise ConfigurationError(message)
        if step.method == "kv" and step is not spec.steps[-1]:
            message = f"'{spec}': kv acts while the model runs, so it can only come last."
            raise ConfigurationError(message)
        compressor_for(step).check(step)
    follow_each_other(spec)
    rounding = [x for x in spec.steps if getattr(compressor_for(x), "rounds_inputs", False)]
    if len(rounding) > 1:
        message = (
            f"'{spec}' rounds the inputs of layers {len(rounding)} times, by "
            f"{' and by '.join(map(str, rounding))}. Expected one of them."
        )
        raise ConfigurationError(message)
    if spec.seed is not None and not any(map(depends_on_seed, spec.steps)):
        message = (
            f"'{spec}': no step of it looks at calibration texts, so a seed changes nothing. "
            f"Write {replace(spec, seed=None)}."
        )
        raise ConfigurationError(message)


def looks_at_texts(spec: CompressionSpec) -> bool:
    """Whether a step, with its words, looks at calibration texts; True where it does not say."""
    return not spec.is_dense and any(map(_looks, spec.steps))


def _looks(step: Step) -> bool:
    """The same of one step."""
    compressor = compressor_for(step)
    if hasattr(compressor, "looks_at_texts"):
        return bool(compressor.looks_at_texts(step))
    declared = getattr(compressor, "parameters", None)
    return declared is None or bool(declared.calibrated)


def is_worth_storing(spec: CompressionSpec) -> bool:
    """Whether weights of the same shapes hold all that `spec` does, and cost more than a file.

    A method says the former by `weights_only = True`; unless one of them can be calibrated
    (`delta` is slow without texts, too) compressing anew takes no longer than reading.
    """
    steps = [compressor_for(step) for step in spec.steps]
    declared = [getattr(step, "parameters", None) for step in steps]
    slow = any(one is None or one.calibrated for one in declared)
    return slow and all(getattr(one, "weights_only", False) for one in steps)


def own_modules(spec: CompressionSpec) -> list[str]:
    """The modules of the user's own functions among the steps."""
    return [
        step.method
        for step in spec.steps
        if step.parameter.isidentifier() and step.method not in COMPRESSORS and not spec.is_dense
    ]


def follow_each_other(spec: CompressionSpec) -> list[tuple[Step, Before | None]]:
    """The steps that run, and with each the step before where it takes that into its own run.

    A method does so by a `follow` that raises ConfigurationError when the two do not fit.
    """
    found: list[tuple[Step, Before | None]] = []
    for step in spec.steps:
        compressor, taken = compressor_for(step), None
        if hasattr(compressor, "follow"):
            last, more = found.pop() if found else (None, None)
            taken = (last, compressor_for(last)) if last and not more else None
            compressor.follow(step, last, taken and taken[1])
        found.append((step, taken))
    return found


def depends_on_seed(step: Step) -> bool:
    """Whether another seed can give another model; True for methods that do not say."""
    declared = getattr(compressor_for(step), "parameters", None)
    return _looks(step) or declared is None or declared.seeded


def compressor_for(step: Step) -> Compressor:
    """The compressor of one step: from the table, or the user's own `module:function`."""
    if step.method in COMPRESSORS:
        return COMPRESSORS.load(step.method)()  # type: ignore[no-any-return]
    if not step.parameter.isidentifier():
        spelled = (DENSE, "module:function", f"{ALPHAPRUNING}:METHOD", *KV)
        raise UnknownNameError(COMPRESSORS.kind, step.method, [*COMPRESSORS.names(), *spelled])
    from pytest_llmsafety.compressors.function import OwnFunction

    return OwnFunction()


def compress(  # noqa: PLR0913 - the one door for users
    model: PreTrainedModel,
    spec: CompressionSpec | str,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    calibration: CalibrationTexts | Sequence[str] | Sequence[Sequence[int]] | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    dense: DenseFacts | None = None,
) -> CompressionRecord:
    """Compress a loaded model in place, step after step, and say what was done.

    The model stays a plain Hugging Face model: quantized weights are written back as the
    values that they stand for, so it answers as the quantized model does, at dense speed;
    the packed size is in the record. `tokenizer`, `calibration` (texts, or token ids as they
    are), and `seed` (unless the spec has its own) serve the methods that look at activations;
    `device` is where those compute block by block, `progress(what, done, total)` hears of it.
    With `dense`, `model` is the finished checkpoint that `spec` names, and is compared with what
    is remembered of the dense model.

    Raises UnknownNameError for an unknown method, NothingCompressed when no layer changed, and
    other errors of the tree in errors.py. After an error in the middle of the work the model
    refuses to run, because part of it is compressed.
    """
    spec = CompressionSpec.parse(spec) if isinstance(spec, str) else spec
    check(spec)
    seed = seed if spec.seed is None else spec.seed
    context = Context(tokenizer, calibration, seed, device, dense=dense)
    context = replace(context, progress=progress) if progress else context
    remembered = _remembered(model, spec, dense)
    context = replace(context, parameters=remembered)
    stored, dense_bits = stored_dense(model), 8.0 * next(model.parameters()).element_size()
    records: list[CompressionRecord] = []
    with measured(model) as cost, whole_or_unusable(model, spec) as done:
        for step, before in follow_each_other(spec):
            compressor = compressor_for(step)
            records.append(compressor.compress(model, step, replace(context, before=before)))
            done.append(step)
    _require_changes(model, spec, records)
    record = replace(merged(spec, records), seconds=cost.seconds, peak_bytes=cost.peak_bytes)
    record = covered(record, model, remembered)
    if spec.steps[0].method in REPLACE:
        return record
    parameters = {one.layer: (one.name, one.count) for one in remembered}
    return as_stored(record, stored, dense_bits, parameters)


def _remembered(
    model: PreTrainedModel, spec: CompressionSpec, dense: DenseFacts | None
) -> Sequence[Remembered]:
    """Return what the compressed model is compared with; nothing for a change of known harm."""
    if not all(getattr(compressor_for(step), "compresses", True) for step in spec.steps):
        return ()
    return dense.remembered if dense else remember(model)


def _require_changes(
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


def covered(
    record: CompressionRecord, model: PreTrainedModel, dense: Sequence[Remembered]
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
        record, changed_share=found.changed, changed_body_share=found.body, kept=found.kept
    )


def merged(spec: CompressionSpec, records: list[CompressionRecord]) -> CompressionRecord:
    """One record of all steps: sizes and shares as the last step that changes weights left them.

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

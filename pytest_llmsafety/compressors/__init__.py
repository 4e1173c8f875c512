"""Make a model smaller: the table of methods, `compress`, and `check` before anything is loaded."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_llmsafety.compressors.base import Compressor, Context
from pytest_llmsafety.compressors.failure import whole_or_unusable
from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.compressors.record.chain import merged, require_changes, with_coverage
from pytest_llmsafety.compressors.record.cost import measured
from pytest_llmsafety.compressors.record.coverage import parameter_facts
from pytest_llmsafety.compressors.record.file_sizes import as_stored, stored_dense
from pytest_llmsafety.errors import ConfigurationError, UnknownNameError
from pytest_llmsafety.registry import Registry
from pytest_llmsafety.specs import ALPHAPRUNING, DENSE, CompressionSpec, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pytest_llmsafety.compressors.record.dense_facts import DenseFacts
    from pytest_llmsafety.types import CalibrationTexts

__all__ = ["COMPRESSORS", "CompressionRecord", "check", "compress"]

METHODS = "pytest_llmsafety.compressors.methods"
COMPRESSORS = Registry(
    "compressor",
    {
        "a8": f"{METHODS}.a8:Dynamic",
        "a8-static": f"{METHODS}.a8:Static",
        "awq": f"{METHODS}.awq:Awq",
        "bnb": f"{METHODS}.bnb:BitsAndBytes",
        "checkpoint": f"{METHODS}.checkpoint:Checkpoint",
        "delta": f"{METHODS}.delta:Delta",
        "dsnot": f"{METHODS}.dsnot:Dsnot",
        "float8": f"{METHODS}.quanto:Float8",
        "fp4": f"{METHODS}.fourbit:Float4",
        "gblm": f"{METHODS}.gblm:Gblm",
        "gguf": f"{METHODS}.checkpoint:Gguf",
        "gptq": f"{METHODS}.gptq:Gptq",
        "int2": f"{METHODS}.quanto:Int2",
        "int4": f"{METHODS}.quanto:Int4",
        "int8": f"{METHODS}.quanto:Int8",
        "kv": f"{METHODS}.kv:KeyValueCache",
        "llm-pruner": f"{METHODS}.llm_pruner:LlmPruner",
        "llm.int8": f"{METHODS}.llm_int8:LlmInt8",
        "llmcompressor": f"{METHODS}.llm_compressor:LlmCompressor",
        "magnitude": f"{METHODS}.magnitude:Magnitude",
        "nf4": f"{METHODS}.fourbit:NormalFloat4",
        "phantom": f"{METHODS}.phantom:PhantomChange",
        "rtn": f"{METHODS}.rtn:RoundToNearest",
        "sparsegpt": f"{METHODS}.sparsegpt:SparseGpt",
        "wanda": f"{METHODS}.wanda:Wanda",
    },
)
REPLACE = ("checkpoint", "gguf")
"""Methods that put a model from files in the place of the dense one."""
KV = ("kv:int2", "kv:int4", "kv:int8")


def check(spec: CompressionSpec) -> None:
    """Raise a named error when `spec` cannot be carried out; imports no torch.

    Raises UnknownNameError for an unknown method, and ConfigurationError for:

    - a parameter that the method does not take, or a seed that nothing depends on;
    - a checkpoint that is not the first step, or a kv that is not the last;
    - two steps that round the inputs of layers;
    - a repair with nothing to repair before it, or `dense` together with another step.
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
    steps_to_run(spec)
    rounding = [step for step in spec.steps if compressor_for(step).rounds_inputs]
    if len(rounding) > 1:
        message = (
            f"'{spec}' rounds the inputs of layers {len(rounding)} times, by "
            f"{' and by '.join(map(str, rounding))}. Expected one of them."
        )
        raise ConfigurationError(message)
    if spec.seed is not None and not any(map(_depends_on_seed, spec.steps)):
        message = (
            f"'{spec}': no step of it looks at calibration texts, so a seed changes nothing. "
            f"Write {replace(spec, seed=None)}."
        )
        raise ConfigurationError(message)


def compress(
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
    """Compress a loaded model in place, step after step, and return the record of it.

    The model stays a plain Hugging Face model. Quantized weights are written back as the values
    that they stand for, so it answers as the quantized model does, at dense speed. The packed size
    is in the record.

    `tokenizer`, `calibration` (texts, or token ids as they are), and `seed` (unless the spec has
    its own) serve the methods that look at activations. `device` is where those compute block by
    block. `progress(what, done, total)` is called as the work goes on. With `dense`, `model` is the
    finished checkpoint that `spec` names, and is compared with these facts about the dense model.

    Raises UnknownNameError for an unknown method, NothingCompressed when no layer changed, and
    other errors of the tree in errors.py. After an error in the middle of the work the model
    refuses to run, because part of it is compressed.
    """
    spec = CompressionSpec.parse(spec) if isinstance(spec, str) else spec
    check(spec)
    seed = seed if spec.seed is None else spec.seed
    compresses = all(compressor_for(step).compresses for step in spec.steps)
    before = (dense.parameter_facts if dense else parameter_facts(model)) if compresses else ()
    context = Context(tokenizer, calibration, seed, device, dense=dense, parameters=before)
    context = replace(context, progress=progress) if progress else context
    stored, dense_bits = stored_dense(model), 8.0 * next(model.parameters()).element_size()
    records: list[CompressionRecord] = []
    with measured(model) as cost, whole_or_unusable(model, spec) as done:
        for step, repaired in steps_to_run(spec):
            compressor = compressor_for(step)
            records.append(compressor.compress(model, step, replace(context, before=repaired)))
            done.append(step)
    require_changes(model, spec, records)
    record = replace(merged(spec, records), seconds=cost.seconds, peak_bytes=cost.peak_bytes)
    record = with_coverage(record, model, before)
    if spec.steps[0].method in REPLACE:
        return record
    parameters = {one.layer: (one.name, one.count) for one in before}
    return as_stored(record, stored, dense_bits, parameters)


def compressor_for(step: Step) -> Compressor:
    """Return the compressor of one step: from the table, or the user's own `module:function`.

    Raises UnknownNameError for an unknown method, and ConfigurationError for a class that does
    not extend Compressor.
    """
    if step.method in COMPRESSORS:
        found = COMPRESSORS.load(step.method)()
        if not isinstance(found, Compressor):
            message = (
                f"the compressor '{step.method}' is a {type(found).__name__}. Expected a class "
                "that extends pytest_llmsafety.compressors.base.Compressor."
            )
            raise ConfigurationError(message)
        return found
    if not step.parameter.isidentifier():
        spelled = (DENSE, "module:function", f"{ALPHAPRUNING}:METHOD", *KV)
        raise UnknownNameError(COMPRESSORS.kind, step.method, [*COMPRESSORS.names(), *spelled])
    from pytest_llmsafety.compressors.methods.own_function import OwnFunction

    return OwnFunction()


def steps_to_run(spec: CompressionSpec) -> list[tuple[Step, tuple[Step, Compressor] | None]]:
    """Return the steps that run, each with the step before where it runs that one itself.

    Raises ConfigurationError when a step cannot repair the one before it.
    """
    found: list[tuple[Step, tuple[Step, Compressor] | None]] = []
    for step in spec.steps:
        compressor, own = compressor_for(step), None
        if compressor.repairs_step_before:
            last, more = found.pop() if found else (None, None)
            own = (last, compressor_for(last)) if last and not more else None
            compressor.follow(step, last, own[1] if own else None)
        found.append((step, own))
    return found


def looks_at_texts(spec: CompressionSpec) -> bool:
    """Return whether a step of `spec` looks at calibration texts."""
    return not spec.is_dense and any(compressor_for(x).looks_at_texts(x) for x in spec.steps)


def is_worth_storing(spec: CompressionSpec) -> bool:
    """Return whether a file of weights holds all that `spec` does, and saves time.

    Compressing anew takes no longer than reading unless a method can be calibrated (`delta` is
    slow without texts, too).
    """
    found = [compressor_for(step) for step in spec.steps]
    return any(one.parameters.calibrated for one in found) and all(
        one.weights_only for one in found
    )


def own_modules(spec: CompressionSpec) -> list[str]:
    """Return the modules of the user's own functions among the steps."""
    return [
        step.method
        for step in spec.steps
        if step.parameter.isidentifier() and step.method not in COMPRESSORS and not spec.is_dense
    ]


def _depends_on_seed(step: Step) -> bool:
    compressor = compressor_for(step)
    return compressor.parameters.seeded or compressor.looks_at_texts(step)

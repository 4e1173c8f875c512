"""`checkpoint:PATH`, `gguf:FILE`: load a model that was compressed elsewhere."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors.base import Compressor
from pytest_llmsafety.compressors.parameters import Parameters
from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.compressors.record.architecture import (
    Architecture,
    another_architecture,
    matrices_of,
    same_body,
)
from pytest_llmsafety.compressors.record.coverage import BODY, altered, parameter_facts, zero_share
from pytest_llmsafety.compressors.record.file_sizes import of_folder, of_gguf, stored_bytes
from pytest_llmsafety.errors import ConfigurationError, ModelError
from pytest_llmsafety.models.locate import locate
from pytest_llmsafety.models.model_folder import check_folder, read_config, unread_files
from pytest_llmsafety.models.quantization_formats import (
    lacking,
    quantization_of,
    quantization_settings,
    rounds_inputs,
    why_unreadable,
)
from pytest_llmsafety.paths import user_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.base import Context
    from pytest_llmsafety.compressors.record.coverage import ParameterFacts
    from pytest_llmsafety.compressors.record.file_sizes import OnDisk
    from pytest_llmsafety.specs import Step

EQUAL = "equal to the dense layer"
ROUND_TO_8_BITS = ("FP8Experts", "FP8Linear", "FbgemmFp8Linear", "Linear8bitLt")
"""Classes of transformers and bitsandbytes whose kernels multiply inputs in 8 bits."""


class Checkpoint(Compressor):
    """Puts a compressed checkpoint in the place of the dense model.

    It takes all that `from_pretrained` can load: masked or dequantized weights, and quantized
    formats whose package is installed. GPTQ, AWQ, AutoRound and quanto need none: their codes
    become plain weights (models/unpack.py). The record says what ran (`execution`).
    """

    parameters = Parameters(example="checkpoint:org/name@revision", rest="PATH")

    def check(self, step: Step) -> None:
        """Refuse an empty path, a local folder without a model, and an absent package."""
        super().check(step)
        folder = user_path(step.parameter)
        local = folder.exists() or step.parameter.startswith((".", "/", "~"))
        if local and not folder.exists():
            message = (
                f"'{step}': the folder {folder} does not exist. Expected a Hugging Face folder."
            )
            raise ConfigurationError(message)
        if local:
            check_folder(folder, tokenizer=False)
            _check_readable(step, why_unreadable(read_config(folder)))

    def compress(self, model: PreTrainedModel, step: Step, context: Context) -> CompressionRecord:
        """Load the checkpoint, make `model` it, and record what differs from the dense one.

        With `context.dense` the model is the checkpoint already. A checkpoint of another
        architecture is another model, and the record says so. Raises ModelError when the checkpoint
        is incomplete or its package is absent.
        """
        from pytest_llmsafety.models.load import load_model

        spec = step.model
        assert spec is not None  # noqa: S101 - narrows a type
        folder = locate(spec, tokenizer=False)
        dense = Dense.of(model, context)
        dtype = ""
        if context.dense:
            check_runs(model, step)
        else:
            dtype = str(model.dtype).removeprefix("torch.")
            become(model, load_model(folder, dtype=dtype, device=str(model.device)), step)
        record = record_of(model, step, dense, of_folder(folder))
        ran = execution(model, quantization_settings(read_config(folder)), dtype)
        notes = (*ran.notes, *record.notes, *unread_files(folder))
        return replace(record, activation_bits=ran.input_bits, notes=notes)


class Gguf(Compressor):
    """Puts the weights of a GGUF file in the place of the dense model's.

    transformers reads the file, and unpacks it unless it has a kernel for the device. What
    llama.cpp computes with the same file can differ by rounding.
    """

    parameters = Parameters(example="gguf:model-q4_0.gguf", rest="FILE")

    def check(self, step: Step) -> None:
        """Refuse a file that is absent or is not GGUF, and an absent package."""
        super().check(step)
        path = user_path(step.parameter)
        if not path.is_file():
            message = (
                f"'{step}': the file {path} does not exist. Expected the path of a .gguf file."
            )
            raise ConfigurationError(message)
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                message = f"'{step}': {path} is not a GGUF file: it does not begin with GGUF."
                raise ConfigurationError(message)
        install = lacking("gguf")
        why = f"is in the format gguf, whose package is not installed: {install}."
        _check_readable(step, why if install else "")

    def compress(self, model: PreTrainedModel, step: Step, context: Context) -> CompressionRecord:
        """Load the file, make `model` it, and record what differs from the dense one.

        Raises ModelError when the file is incomplete or holds more than is read of it, and
        UnsupportedModelError when its vocabulary is another one.
        """
        from pytest_llmsafety.models.gguf_file import check_vocabulary
        from pytest_llmsafety.models.load import load_gguf

        path = user_path(step.parameter)
        if context.tokenizer is not None:
            check_vocabulary(path, context.tokenizer)
        dense = Dense.of(model, context)
        dtype = str(model.dtype).removeprefix("torch.")
        become(model, load_gguf(path, dtype=dtype, device=str(model.device)), step)
        names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
        return record_of(model, step, dense, of_gguf(path, names))


@dataclass(frozen=True)
class Dense:
    """What a checkpoint is compared with: architecture, size and parameters of the dense model."""

    architecture: Architecture
    n_bytes: int
    parameters: Sequence[ParameterFacts]

    @classmethod
    def of(cls, model: PreTrainedModel, context: Context) -> Dense:
        """Read them from the dense model, or from `context.dense` where the model is not there."""
        facts = context.dense
        if facts:
            parameters = context.parameters or facts.parameter_facts
            return cls(facts.architecture, facts.n_bytes, parameters)
        parameters = context.parameters or parameter_facts(model)
        return cls(Architecture.of(model), stored_bytes(model), parameters)


def become(model: PreTrainedModel, loaded: PreTrainedModel, step: Step) -> None:
    """Make `model` the model `loaded`: class, modules, configuration and hooks.

    Raises ModelError, before any change, when `loaded` does not run.
    """
    check_runs(loaded, step)
    vars(model).clear()
    vars(model).update(vars(loaded))
    model.__class__ = type(loaded)


def check_runs(loaded: PreTrainedModel, step: Step) -> None:
    """Raise ModelError when a loaded model does not run."""
    import torch

    token = torch.zeros((1, 1), dtype=torch.long, device=loaded.device)
    try:
        with torch.no_grad():  # some packages unpack at the first pass; errors belong here
            loaded(token, use_cache=False)
    except Exception as error:
        message = (
            f"'{step}' was loaded, but does not run ({type(error).__name__}: {error}). Expected a "
            "checkpoint that its package can run on this device: is it complete, and is the "
            "package up to date?"
        )
        raise ModelError(message) from error


def record_of(
    model: PreTrainedModel, step: Step, dense: Dense, stored: OnDisk
) -> CompressionRecord:
    """Return the record of what differs between the dense parameters and those of `model`.

    `stored` is its size on disk. Bits and sparsity are those of the changed matrices between
    embedding and head, or, where none of them changed, of all that changed. A model of another
    architecture changed as a whole.
    """
    other = another_architecture(model, dense.architecture, dense.parameters)
    changed, same = altered(dense.parameters, model)
    if other and not same_body(dense.parameters, model):
        changed, same = matrices_of(model), []
    matrices = [one for one in changed if len(one.shape) > 1]
    inside = [one for one in matrices if one.place == BODY]
    sizes, notes = _sizes(model, [*changed, *same], stored)
    settings = Architecture.of(model).other_settings(dense.architecture)
    notes = (settings, *notes) if settings else notes
    rows = {
        one.layer: (8 * sizes[one.name] / one.count, zero_share(model, one)) for one in matrices
    }
    counted = inside or matrices or changed
    weights = sum(one.count for one in counted)
    bits = 8 * sum(sizes[one.name] for one in counted) / weights if weights else 0.0
    zeros = sum(one.count * rows[one.layer][1] for one in counted if one.layer in rows)
    return CompressionRecord(
        method=str(step),
        parameters=(("path", step.parameter),),
        layers_changed=tuple(one.layer for one in counted),
        layers_skipped=tuple((one.layer, EQUAL) for one in same if len(one.shape) > 1),
        bits=bits,
        sparsity=zeros / weights if weights else 0.0,
        bytes_before=dense.n_bytes,
        bytes_after=stored.total,
        notes=(*notes, "bits and bytes as stored on disk"),
        layers=tuple((name, *row) for name, row in rows.items()),
        architecture=other,
    )


def _sizes(
    model: PreTrainedModel, parameters: Sequence[ParameterFacts], stored: OnDisk
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return the bytes of each parameter on disk, and a note where the files name some otherwise.

    What the files hold besides parameters of known name is shared among the others.
    """
    found = {one.name: stored.parameter(one.name, model.base_model_prefix) for one in parameters}
    sizes = {name: float(size) for name, size in found.items() if size is not None}
    unnamed = [one for one in parameters if found[one.name] is None]
    if not unnamed:
        return sizes, ()
    left = max(0.0, sum(stored.tensors.values()) - sum(sizes.values()))
    each = left / sum(one.count for one in unnamed)
    sizes |= {one.name: each * one.count for one in unnamed}
    count = sum(len(one.shape) > 1 for one in unnamed)
    have = "matrix has another name" if count == 1 else "matrices have other names"
    text = f"{count} {have} in the files: their bits are the mean of what is left there"
    return sizes, (text,) if count else ()


def _check_readable(step: Step, why: str) -> None:
    if why:
        message = f"'{step}' {why}"
        raise ConfigurationError(message)


@dataclass(frozen=True)
class Execution:
    """What ran, in words, and the bits to which the inputs of layers are rounded."""

    notes: tuple[str, ...]
    input_bits: float | None


def execution(model: PreTrainedModel, config: Mapping[str, Any], wanted: str) -> Execution:
    """Return what computes the layers of a loaded model: plain tensors, or a package's own classes.

    `config` is its quantization_config. `wanted` is the dtype that the model was loaded for, empty
    where that is not known.
    """
    kind = quantization_of({"quantization_config": config})
    if not kind:
        return Execution((), None)
    layers = _layers(model)
    packages = Counter(_package(layer) for layer in layers)
    plain = packages.pop("", 0)
    by = " and ".join(f"{count} layers by {name}" for name, count in packages.items())
    dtype = str(model.dtype).removeprefix("torch.")
    if not packages:
        how = f"dequantized: plain {dtype} layers ran, and no kernels of a package"
    else:
        rest = f"; {plain} plain layers" if plain else ""
        how = f"run by its package in {dtype}: {by}{rest}"
    notes = [f"{kind} checkpoint, {how}"]
    if wanted and dtype != wanted:
        notes.append(f"its package computes in {dtype}, the dense model in {wanted}")
    bits = min((b for b in map(_input_bits, layers) if b is not None), default=None)
    if bits is None and not packages and rounds_inputs(config):
        notes.append(
            f"the kernels of {kind} round the inputs of layers, too, which was not done here"
        )
    return Execution(tuple(notes), bits)


def _layers(model: PreTrainedModel) -> list[torch.nn.Module]:
    """Return the modules that hold matrices of their own, embeddings left out."""
    import torch

    output = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    return [
        module
        for module in model.modules()
        if module is not output and not isinstance(module, torch.nn.Embedding)
        if any(tensor.dim() > 1 for tensor in _own_tensors(module)) or _is_expert_kernel(module)
    ]


def _own_tensors(module: torch.nn.Module) -> list[torch.Tensor]:
    return [*module.parameters(recurse=False), *module.buffers(recurse=False)]


def _is_expert_kernel(module: torch.nn.Module) -> bool:
    """Return whether this is a kernel for experts, which keeps its tensors to itself."""
    kind = type(module)
    return kind.__module__.startswith("transformers.integrations") and "Experts" in kind.__name__


def _package(layer: torch.nn.Module) -> str:
    """Return the package and class that compute a layer; empty for a plain layer."""
    import torch

    kind = type(layer)
    own = kind.__module__.startswith(("torch.nn.", "transformers.models.", "transformers.pytorch"))
    if not own:
        return _named(kind)
    for weight in _own_tensors(layer):
        if type(weight.data) is not torch.Tensor:
            return _named(type(weight.data))
        if weight.is_floating_point() and weight.itemsize == 1:
            return f"its packed {weight.dtype}"
    return ""


def _named(kind: type) -> str:
    return f"{kind.__module__.partition('.')[0]} ({kind.__name__})"


def _input_bits(layer: torch.nn.Module) -> float | None:
    if type(layer).__name__ in ROUND_TO_8_BITS:
        return 8.0
    scheme = getattr(getattr(layer, "quantization_scheme", None), "input_activations", None)
    if scheme is not None:
        return float(scheme.num_bits)
    weight = getattr(getattr(layer, "weight", None), "data", None)
    rounded = ("act_quant_kwargs", "activation_quantization")
    return 8.0 if any(getattr(weight, name, None) is not None for name in rounded) else None

"""`checkpoint:PATH`, `gguf:FILE`: a model that someone else compressed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_llmsafety.compressors.base import dense_bytes
from pytest_llmsafety.compressors.changes import plain_values, tensor_digest
from pytest_llmsafety.compressors.dense import dense_layers, other_architecture
from pytest_llmsafety.compressors.execution import execution
from pytest_llmsafety.compressors.on_disk import of_folder, of_gguf
from pytest_llmsafety.compressors.parameters import Declared, Parameters
from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.errors import ConfigurationError, ModelError
from pytest_llmsafety.formats import lacking, told_of, why_unreadable
from pytest_llmsafety.paths import user_path
from pytest_llmsafety.source import check_folder, locate, read_config

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.base import Context
    from pytest_llmsafety.compressors.dense import Layers
    from pytest_llmsafety.compressors.on_disk import OnDisk
    from pytest_llmsafety.specs import Step


class Checkpoint(Declared):
    """Puts a compressed checkpoint in the place of the dense model.

    Whatever `from_pretrained` can load will do: masked or dequantized weights, and quantized
    formats whose package is installed. GPTQ, AWQ, AutoRound and quanto need none: their codes
    become plain weights (packed.py). The record says what ran (execution.py).
    """

    parameters = Parameters(example="checkpoint:org/name@revision", rest="PATH")

    def check(self, step: Step) -> None:
        """Refuse an empty path, a local folder that is no model, and an absent package."""
        super().check(step)
        folder = user_path(step.parameter)
        local = folder.exists() or step.parameter.startswith((".", "/", "~"))
        if local and not (folder / "config.json").is_file():
            lacks = "holds no config.json" if folder.exists() else "does not exist"
            message = f"'{step}': the folder {folder} {lacks}. Expected a Hugging Face folder."
            raise ConfigurationError(message)
        if local:
            check_folder(folder, tokenizer=False)
            _check_readable(step, why_unreadable(read_config(folder)))

    def compress(
        self,
        model: PreTrainedModel,
        step: Step,
        context: Context,
    ) -> CompressionRecord:
        """Load the checkpoint, let `model` be it, and record what differs from the dense one.

        With `context.dense` the model is the checkpoint already. Raises ModelError when the
        checkpoint is not whole or its package is absent, and UnsupportedModelError when it is of
        another architecture.
        """
        from pytest_llmsafety.loading import load_model

        spec = step.model
        assert spec is not None  # noqa: S101 - narrows a type
        folder = locate(spec, tokenizer=False)
        if context.dense:
            before, dense, dtype = context.dense.n_bytes, context.dense.by_name, ""
            check_runs(model, step)
        else:
            before, dense = dense_bytes(model), dense_layers(model)
            dtype = str(model.dtype).removeprefix("torch.")
            become(model, load_model(folder, dtype=dtype, device=str(model.device)), step)
        record = record_of(model, step, dense, of_folder(folder), before=before, notes=())
        ran = execution(model, told_of(read_config(folder)), dtype)
        return replace(record, activation_bits=ran.input_bits, notes=(*ran.notes, *record.notes))


class Gguf(Declared):
    """Puts the weights of a GGUF file in the place of the dense model's.

    transformers reads the file, and unpacks it unless it has a kernel for the device; what
    llama.cpp computes with the same file can differ by rounding.
    """

    parameters = Parameters(example="gguf:model-q4_0.gguf", rest="FILE")

    def check(self, step: Step) -> None:
        """Refuse a file that is absent or no GGUF, and an absent package."""
        super().check(step)
        path = user_path(step.parameter)
        if not path.is_file():
            message = f"'{step}': there is no file {path}. Expected the path of a .gguf file."
            raise ConfigurationError(message)
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                message = f"'{step}': {path} is no GGUF file: it does not begin with GGUF."
                raise ConfigurationError(message)
        install = lacking("gguf")
        why = f"is in the format gguf, whose package is not installed: {install}."
        _check_readable(step, why if install else "")

    def compress(
        self,
        model: PreTrainedModel,
        step: Step,
        context: Context,  # noqa: ARG002 - the file is given
    ) -> CompressionRecord:
        """Load the file, let `model` be it, and record what differs from the dense one."""
        from pytest_llmsafety.loading import load_gguf

        path = user_path(step.parameter)
        before, dense = dense_bytes(model), dense_layers(model)
        dtype = str(model.dtype).removeprefix("torch.")
        loaded = load_gguf(path, dtype=dtype, device=str(model.device))
        become(model, loaded, step)
        stored = of_gguf(path, list(dense))
        return record_of(model, step, dense, stored, before=before, notes=())


def become(model: PreTrainedModel, loaded: PreTrainedModel, step: Step) -> None:
    """Let `model` be `loaded`: its modules, its configuration, and what packages hooked to it.

    Raises, before any change, UnsupportedModelError when the two are of different classes, and
    ModelError when `loaded` does not run.
    """
    if type(loaded) is not type(model):
        raise other_architecture(str(step), type(loaded).__name__, type(model).__name__)
    check_runs(loaded, step)
    vars(model).clear()
    vars(model).update(vars(loaded))


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
            "checkpoint that its package can run on this device: is it whole, and the package new?"
        )
        raise ModelError(message) from error


def record_of(
    model: PreTrainedModel,
    step: Step,
    dense: Layers,
    stored: OnDisk,
    *,
    before: int,
    notes: tuple[str, ...],
) -> CompressionRecord:
    """What differs between the dense layers and those of `model`, with their size on disk."""
    changed = [name for name in dense if _digest(model, name) != dense[name][0]]
    rows = []
    weights, on_disk, zeros, unnamed = 0, 0.0, 0.0, 0
    for name in changed:
        count = _count(dense[name][1])
        size = stored.layer(name, model.base_model_prefix)
        if size is None:
            size, unnamed = _bytes_in_memory(model.get_submodule(name)), unnamed + 1
        share = _sparsity(model.get_submodule(name), dense[name][1])
        rows.append((name, 8 * size / count, share))
        weights, on_disk, zeros = weights + count, on_disk + size, zeros + share * count
    if unnamed:
        text = (
            f"{unnamed} of {len(changed)} layers have other names in the files: bits as in memory"
        )
        notes = (*notes, text)
    return CompressionRecord(
        method=str(step),
        parameters=(("path", step.parameter),),
        layers_changed=tuple(changed),
        layers_skipped=tuple((n, "equal to the dense layer") for n in dense if n not in changed),
        bits=8 * on_disk / weights if weights else 0.0,
        sparsity=zeros / weights if weights else 0.0,
        bytes_before=before,
        bytes_after=stored.total,
        notes=(*notes, "bits and bytes as stored on disk"),
        layers=tuple(rows),
    )


def _check_readable(step: Step, why: str) -> None:
    """Raise ConfigurationError that says why a format cannot be loaded, if it cannot."""
    if why:
        message = f"'{step}' {why}"
        raise ConfigurationError(message)


def _digest(model: PreTrainedModel, name: str) -> str:
    """Digest of a layer's weight; empty when the layer stores no plain weight any more."""
    weight = getattr(model.get_submodule(name), "weight", None)
    return tensor_digest(weight) if weight is not None else ""


def _sparsity(layer: torch.nn.Module, shape: tuple[int, ...]) -> float:
    """Share of zeros in a plain weight; 0 for a packed one, whose bytes tell nothing."""
    weight = getattr(layer, "weight", None)
    if weight is None or not weight.is_floating_point() or tuple(weight.shape) != shape:
        return 0.0
    return 1 - int(plain_values(weight).count_nonzero()) / int(weight.numel())


def _bytes_in_memory(layer: torch.nn.Module) -> int:
    """Bytes of a layer's parameters and buffers, its bias left out."""
    tensors = {**dict(layer.named_parameters()), **dict(layer.named_buffers())}
    return sum(value.nbytes for name, value in tensors.items() if name != "bias")


def _count(shape: tuple[int, ...]) -> int:
    """Number of weights."""
    import math

    return math.prod(shape)

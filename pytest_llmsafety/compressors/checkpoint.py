"""`checkpoint:PATH`: a model that someone else compressed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmsafety.compressors.base import dense_bytes, linear_layers, sparsity, weight_of
from pytest_llmsafety.compressors.changes import tensor_digest
from pytest_llmsafety.compressors.parameters import Declared, Parameters
from pytest_llmsafety.compressors.record import CompressionRecord
from pytest_llmsafety.errors import CompressionError, ConfigurationError
from pytest_llmsafety.source import locate
from pytest_llmsafety.specs import ModelSpec

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.base import Context
    from pytest_llmsafety.specs import Step


class Checkpoint(Declared):
    """Puts the modules of a compressed checkpoint into the dense model.

    Whatever `from_pretrained` can load will do: masked or dequantized weights, and quantized
    formats whose library is installed.
    """

    parameters = Parameters(example="checkpoint:org/name@revision", rest="PATH")

    def check(self, step: Step) -> None:
        """Refuse an empty path and a local folder without config.json."""
        super().check(step)
        folder = Path(step.parameter).expanduser()
        local = folder.exists() or step.parameter.startswith((".", "/", "~"))
        if local and not (folder / "config.json").is_file():
            message = f"'{step}': {folder} holds no config.json. Expected a Hugging Face folder."
            raise ConfigurationError(message)

    def compress(
        self,
        model: PreTrainedModel,
        step: Step,
        context: Context,  # noqa: ARG002 - the checkpoint is given
    ) -> CompressionRecord:
        """Replace the model's modules and record which layers differ from the dense ones.

        Raises ModelError when the checkpoint is not whole, and CompressionError when it is of
        another architecture.
        """
        from pytest_llmsafety.loading import load_model

        before = dense_bytes(model)
        weights = {name: weight_of(layer) for name, layer in linear_layers(model)}
        dense = {name: tensor_digest(weight) for name, weight in weights.items()}
        folder = locate(ModelSpec.parse(step.parameter), tokenizer=False)
        dtype = str(model.dtype).removeprefix("torch.")
        loaded = load_model(folder, dtype=dtype, device=str(model.device))
        if type(loaded) is not type(model):
            message = (
                f"'{step}' is a {type(loaded).__name__}, the dense model a "
                f"{type(model).__name__}. Expected the same architecture: is the path right?"
            )
            raise CompressionError(message)
        for name, child in loaded.named_children():
            setattr(model, name, child)
        model.config = loaded.config
        changed = [name for name in dense if digest(model, name) != dense[name]]
        stored = sum(layer_bytes(model.get_submodule(name)) for name in changed)
        n_weights = sum(weights[name].numel() for name in changed)
        plain = [name for name, _ in linear_layers(model) if name in set(changed)]
        return CompressionRecord(
            method=str(step),
            parameters=(("path", step.parameter),),
            layers_changed=tuple(changed),
            layers_skipped=tuple(
                (n, "equal to the dense layer") for n in dense if n not in changed
            ),
            bits=8 * stored / n_weights if n_weights else 0.0,
            sparsity=sparsity(model, plain),
            bytes_before=before,
            bytes_after=model.get_memory_footprint(),  # type: ignore[no-untyped-call]
            notes=("bits and bytes as loaded in memory: the checkpoint may be smaller on disk",),
        )


def digest(model: PreTrainedModel, name: str) -> str:
    """Digest of a layer's weight; empty when the layer stores no plain weight any more."""
    layer = model.get_submodule(name)
    weight = getattr(layer, "weight", None)
    return tensor_digest(weight) if weight is not None else ""


def layer_bytes(layer: torch.nn.Module) -> int:
    """Bytes of a layer's parameters and buffers, its bias left out."""
    tensors = {**dict(layer.named_parameters()), **dict(layer.named_buffers())}
    return sum(value.nbytes for name, value in tensors.items() if name != "bias")

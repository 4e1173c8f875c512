"""BASE of a delta: loaded, and checked to be what the model was fine-tuned from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_llmsafety.compressors.layers import all_layers, decoder_blocks
from pytest_llmsafety.errors import UnsupportedModelError
from pytest_llmsafety.models.locate import TOKENIZER_FILES, locate

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.compressors.base import Context
    from pytest_llmsafety.specs import Step


def base_weights(
    model: PreTrainedModel, step: Step, context: Context
) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """BASE's weight [out, in] of each layer in the decoder blocks, on the CPU, and notes.

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
    """See that every token of BASE has the same number here; a note where that is not known."""
    from pytest_llmsafety.models.load import load_tokenizer

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
    """A shape in words."""
    return " x ".join(map(str, weight.shape))


def _no_base(step: Step, why: str) -> UnsupportedModelError:
    """The error for a BASE that is none."""
    return UnsupportedModelError(
        f"'{step}': {step.before_parts} is not what this model was fine-tuned from: {why}. "
        "Nothing was changed. Expected a model of the same architecture, shapes and tokens."
    )

"""Use or refuse what transformers does not read of a GGUF file, and compare its vocabulary."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import ModelError, UnsupportedModelError
from pytest_llmsafety.models.unused_tensors import lost_tensors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ROPE_FACTORS = "rope_freqs.weight"
EXPERTS = re.compile(r"_exps\.weight$")
SCALING = re.compile(r"\.rope\.scal(ing\.(?!original_context_length|finetuned)|e_)")
REMEDY = (
    "transformers does not read them from GGUF files. Judge the checkpoint that the file was "
    "converted from (checkpoint:PATH), or llama.cpp itself behind a server."
)
# Layers that predict further tokens, and angles that are computed from the metadata.
LEFT_OUT = re.compile(r"(^|\.)(nextn\.|mtp\.|attn_rot_embd\.)")


def complete(path: Path, model: PreTrainedModel, unused: Sequence[str]) -> None:
    """Give `model` what transformers did not read of the file, or raise ModelError.

    The frequencies of rotary positions are divided by `rope_freqs.weight`, as llama.cpp does it
    (Llama 3.1 and later need that). Any other tensor without a place in the model is an error, and
    so is a scaling of positions in the metadata that the configuration does not have. `unused`
    holds the names that transformers reports.
    """
    import gguf

    reader = gguf.GGUFReader(str(path))
    tensors = {str(tensor.name): tensor for tensor in reader.tensors}
    architecture = str(reader.fields["general.architecture"].contents())
    unread = _unread(tensors, model, architecture, unused)
    lost = [name for name in unread if not LEFT_OUT.search(name)]
    if ROPE_FACTORS in lost:
        _divide_frequencies(path, model, tensors[ROPE_FACTORS].data)
    lost = [name for name in lost if name != ROPE_FACTORS and not _is_zero_bias(tensors.get(name))]
    if lost:
        raise lost_tensors(path, type(model).__name__, lost, REMEDY)
    scaled = sorted(name for name in reader.fields if SCALING.search(name))
    if any(name.endswith(".type") for name in scaled):
        kind = reader.fields[f"{architecture}.rope.scaling.type"]
        scaled = [] if str(kind.contents()) == "none" else scaled
    if scaled and ROPE_FACTORS not in tensors and _is_unscaled(model):
        message = (
            f"'{path}' scales rotary positions ({', '.join(scaled)}), which transformers does not "
            "read from GGUF files of this architecture, so answers to longer texts would be wrong. "
            "Expected a file without it. Judge the checkpoint that it was converted from."
        )
        raise ModelError(message)


def check_vocabulary(path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise UnsupportedModelError unless the tokens of the file have the tokenizer's numbers.

    Tokens that were added to the vocabulary are not compared, because files spell them in their
    own way; neither is a file without tokens.
    """
    import gguf

    field = gguf.GGUFReader(str(path)).fields.get("tokenizer.ggml.tokens")
    tokens = field.contents() if field else None
    if not tokens:
        return
    added = tokenizer.get_added_vocab()
    own = {token: n for token, n in tokenizer.get_vocab().items() if token not in added}
    moved = [token for token, n in own.items() if n >= len(tokens) or tokens[n] != token]
    if moved:
        message = (
            f"'{path}' has another vocabulary than the dense model: {len(moved)} of {len(own)} "
            f"tokens have another number in it or none ({moved[0]!r}, ...), so it would read other "
            "texts than the prompts. Expected a file that was converted from a compressed form of "
            "the dense model, with its tokenizer."
        )
        raise UnsupportedModelError(message)


def _unread(
    tensors: dict[str, Any], model: PreTrainedModel, architecture: str, unused: Sequence[str]
) -> list[str]:
    """Return the tensors of the file for which transformers finds no weight of the model."""
    from transformers import modeling_gguf_pytorch_utils as legacy

    if unused:
        return list(unused)
    try:
        from transformers.integrations.gguf.utils import is_gguf_arch_supported
    except ImportError:
        reported = False
    else:
        reported = is_gguf_arch_supported(architecture)
    if reported:
        return []
    processor: Any = legacy.TENSOR_PROCESSORS.get(architecture, legacy.TensorProcessor)
    read: Any = legacy.get_gguf_hf_weights_map
    places = read(model, processor(config=model.config.to_dict()))
    return sorted(
        name
        for name in tensors
        if name not in places
        and not (EXPERTS.search(name) and name.removesuffix(".weight") in places)
    )


def _divide_frequencies(path: Path, model: PreTrainedModel, factors: Any) -> None:  # noqa: ANN401 - an array
    import torch

    names = ("inv_freq", "original_inv_freq")
    found = [buffer for name, buffer in model.named_buffers() if name.endswith(names)]
    divisor = torch.tensor(factors.copy())
    if not found or any(buffer.shape != divisor.shape for buffer in found):
        message = (
            f"'{path}' holds {len(divisor)} factors of rotary frequencies ({ROPE_FACTORS}), and "
            f"{type(model).__name__} has no such frequencies. {REMEDY}"
        )
        raise ModelError(message)
    if _is_unscaled(model):
        for buffer in found:
            buffer.div_(divisor.to(buffer))


def _is_unscaled(model: PreTrainedModel) -> bool:
    rope = getattr(model.config.get_text_config(), "rope_parameters", None)
    return not isinstance(rope, dict) or rope.get("rope_type", "default") == "default"


def _is_zero_bias(tensor: Any) -> bool:  # noqa: ANN401 - of the gguf package
    return tensor is not None and tensor.name.endswith(".bias") and not tensor.data.any()

"""Refuse a model folder with tensors for which the loaded model has no place.

transformers ignores such tensors without an error. Where one of them is a scale, a bias, a block or
a head, the model that answers is not the model that was stored. A few kinds may be left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import ModelError
from pytest_llmsafety.models.model_folder import read_config, stored_tensors, weight_files
from pytest_llmsafety.models.quantization_formats import quantization_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import torch
    from transformers import PreTrainedModel

    from pytest_llmsafety.models.model_folder import StoredTensor

NAMED = 3  # tensors that an error lists
BLOCK = re.compile(r"(^|\.)(layers|h|blocks|block)\.(\d+)\.")
PREDICTS_MORE = ("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules")
OTHER_MEDIA = ("vision_config", "audio_config", "speech_config", "sound_config", "visual")
MEDIA = re.compile(
    r"(^|\.)(vision|visual|audio|speech|sound|video|image|multi_?modal|mm_|embed_vision|embed_audio"
    r"|connector|aligner|projector|talker|token2wav|code2wav)[^.]*(\.|$)"
)
CACHE_SCALE = re.compile(r"\.([kvq]|prob)(_proj)?[._](output_)?(scale|zero_point)$")


@dataclass(frozen=True)
class Harmless:
    """Names of tensors that change no answer, and the reason."""

    names: re.Pattern[str]
    reason: str


HARMLESS = (
    Harmless(
        re.compile(r"(^|\.)(\w+_)?(inv_freq|cos_cached|sin_cached)$"),
        "angles of rotary positions, which are computed from config.json",
    ),
    Harmless(
        re.compile(
            r"(^|\.)(position_ids|token_type_ids|embed_positions\.(weights|_float_tensor))$"
        ),
        "numbers of positions, which are counted, and sinusoids, which are computed",
    ),
    Harmless(
        re.compile(r"(attn|attention)\.(bias|masked_bias|causal_mask)$"),
        "the causal mask, which every decoder builds itself (a bias of an output is a vector)",
    ),
    Harmless(re.compile(r"(^|\.)version$"), "the version of a program's format"),
)


def check_used(
    folder: Path,
    model: PreTrainedModel,
    unused: Sequence[str],
    state: Mapping[str, torch.Tensor],
) -> None:
    """Raise ModelError that names the tensors of a folder for which the model has no place.

    `unused` holds the names that transformers reports, `state` the tensors where they were unpacked
    here. Tensors in HARMLESS, parts that the architecture leaves out (for images or sound, or to
    predict further tokens) and biases of zeros may be left out.
    """
    if state:
        _check_lost(folder, model, [name for name in unused if name in state and state[name].any()])
        return
    stored = stored_tensors(folder)
    prefix = f"{model.base_model_prefix}."
    twice = sorted(name for name in stored if prefix + name in stored)
    if twice:
        message = (
            f"'{folder}' holds {len(twice)} tensors twice ({twice[0]} and {prefix}{twice[0]}), and "
            "only one of them can be used. Keep one set of names."
        )
        raise ModelError(message)
    config = read_config(folder)
    lost = [name for name in unused if not may_be_left_out(name, config, stored.get(name))]
    _check_lost(folder, model, [name for name in lost if not _is_zero_bias(folder, name)])


def may_be_left_out(name: str, config: Mapping[str, Any], stored: StoredTensor | None) -> bool:
    """Return whether a text model answers the same without the tensor `name`."""
    for harmless in HARMLESS:
        if harmless.names.search(name):
            vector = stored is not None and len(stored.shape) == 1 and name.endswith(".bias")
            return not vector
    if MEDIA.search(name) and any(config.get(part) for part in OTHER_MEDIA):
        return True
    if CACHE_SCALE.search(name) and quantization_of(config):
        return True
    return _predicts_more(name, config)


def _predicts_more(name: str, config: Mapping[str, Any]) -> bool:
    """Return whether a tensor belongs to layers for further tokens that config.json declares."""
    text = config.get("text_config")
    texts = [config, text if isinstance(text, dict) else {}]
    more = next((part[key] for part in texts for key in PREDICTS_MORE if part.get(key)), 0)
    if not isinstance(more, int) or not more:
        return False
    blocks = next((part["num_hidden_layers"] for part in texts if "num_hidden_layers" in part), 0)
    found = BLOCK.search(name)
    beyond = found is not None and blocks <= int(found[3]) < blocks + more
    return beyond or name.startswith(("mtp.", "model.mtp."))


def _is_zero_bias(folder: Path, name: str) -> bool:
    """Return whether a tensor is a bias of zeros, as AutoGPTQ and others write them."""
    from safetensors import safe_open

    if not name.endswith("bias"):
        return False
    for path in weight_files(folder):
        with safe_open(path, framework="pt") as file:
            if name in file.keys():  # noqa: SIM118 - not a dict
                return not file.get_tensor(name).any()
    return False


def _check_lost(what: Path, model: PreTrainedModel, lost: Sequence[str]) -> None:
    if lost:
        raise lost_tensors(what, type(model).__name__, lost, _remedy(lost, model.config))


def lost_tensors(what: Path, architecture: str, lost: Sequence[str], remedy: str) -> ModelError:
    """Return the error for tensors without a place in the loaded model."""
    more = ", ..." if len(lost) > NAMED else ""
    count = "1 tensor" if len(lost) == 1 else f"{len(lost)} tensors"
    return ModelError(
        f"'{what}': {architecture} has no place for {count} of the files "
        f"({', '.join(lost[:NAMED])}{more}). Without them the model that answers would not be "
        f"the model that was stored. {remedy}"
    )


def _remedy(lost: Sequence[str], config: Any) -> str:  # noqa: ANN401 - a configuration of transformers
    blocks = getattr(config.get_text_config(), "num_hidden_layers", None)
    found = [int(match[3]) for match in map(BLOCK.search, lost) if match]
    if any("scale" in name or "zero" in name or name.endswith("g_idx") for name in lost):
        return (
            "They look like scales of codes: config.json has to name the format in its "
            "quantization_config. Or save the dequantized weights."
        )
    if isinstance(blocks, int) and found and max(found) >= blocks:
        return f"config.json says num_hidden_layers = {blocks}: correct it, or remove the blocks."
    if any(name.startswith(("score.", "v_head.", "classifier.")) for name in lost):
        return "They look like the head of a reward model or classifier, which writes no text."
    if all(name.endswith("bias") for name in lost):
        return (
            "config.json describes layers without a bias: where the architecture has a setting for "
            "it (attention_bias, mlp_bias), set it; else the architecture cannot run them."
        )
    return "Expected only tensors of the architecture that config.json describes: save it again."

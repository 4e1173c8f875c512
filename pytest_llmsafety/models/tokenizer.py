"""Load a model's tokenizer, and name the parts of it that decide which tokens a text becomes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import ModelError, first_line
from pytest_llmsafety.libraries import quiet_transformers
from pytest_llmsafety.models.digests import digest_json
from pytest_llmsafety.models.model_folder import read_settings

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedTokenizerBase

PROBE = (
    "Somewhere behind the harbour an old librarian explained, unhurriedly and with considerable "
    "enthusiasm, why uninterrupted conversations about extraordinary expeditions were impossible."
)
"""Words of many tokens: a tokenizer that splits texts at random splits these in many ways."""
DRAWS = 4
LONGEST_REASON = 200
Parts = tuple[tuple[str, str], ...]
IRRELEVANT = frozenset({"trim_offsets", "type_id"})  # offsets in the text, kinds of segments


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a model folder, with the chat template of any of its files.

    Raises ModelError when that fails, and for a tokenizer that splits texts at random.
    """
    import transformers

    try:
        tokenizer: PreTrainedTokenizerBase = transformers.AutoTokenizer.from_pretrained(
            str(folder), trust_remote_code=False, local_files_only=True
        )
    except Exception as error:
        _check_config(folder)
        message = (
            f"cannot load the tokenizer of '{folder}': {type(error).__name__}: "
            f"{first_line(error)}. Expected files written by tokenizer.save_pretrained(). "
            "Save it again, into the folder of the weights."
        )
        raise ModelError(message) from error
    if not tokenizer.chat_template:
        template = read_settings(folder / "chat_template.json").get("chat_template")
        tokenizer.chat_template = str(template) if template else None
    _check_fixed(tokenizer, folder)
    return tokenizer


def _check_config(folder: Path) -> None:
    """Raise ModelError when the fault is in config.json."""
    import transformers

    try:
        with quiet_transformers():
            transformers.AutoConfig.from_pretrained(
                str(folder), trust_remote_code=False, local_files_only=True
            )
    except Exception as error:
        why = " ".join(str(error).split())[:LONGEST_REASON]
        message = (
            f"transformers {transformers.__version__} refuses '{folder / 'config.json'}': "
            f"{type(error).__name__}: {why}. Expected the configuration of a decoder-only model "
            "that it knows. Fetch or save the model again."
        )
        raise ModelError(message) from error


def _check_fixed(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Raise ModelError for a tokenizer that turns one text into different tokens."""
    inner = getattr(getattr(tokenizer, "backend_tokenizer", None), "model", None)
    dropout = getattr(inner, "dropout", None)
    if not dropout:
        found = {tuple(tokenizer(PROBE, verbose=False)["input_ids"]) for _ in range(DRAWS)}
        if len(found) == 1:
            return
    how = f"BPE dropout {dropout:.2g}" if dropout else "it samples among the splits of a text"
    message = (
        f"the tokenizer of '{folder}' is random ({how}): the same text becomes other tokens each "
        "time, so no two answers are to the same prompt. Expected a fixed one: set "
        '"dropout": null under "model" in tokenizer.json, or "enable_sampling": false in '
        "sp_model_kwargs of tokenizer_config.json."
    )
    raise ModelError(message)


def rules_of(tokenizer: PreTrainedTokenizerBase) -> Parts:
    """Return (name, digest) of every part of a tokenizer that decides which tokens a text becomes.

    These are vocabulary, merges, added tokens, normalizer, pre-tokenizer, and the special tokens
    around a text. Padding, truncation, the decoder, versions and the order of keys do not count.
    A tokenizer that runs in Python alone has a vocabulary only.
    """
    whole: dict[str, Any] = {"vocabulary": tokenizer.get_vocab()}
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None and hasattr(backend, "to_str"):
        parts = json.loads(backend.to_str())
        model = dict(parts["model"])
        if isinstance(model.get("vocab"), list):  # pieces with their scores
            whole["scores"] = model["vocab"]
        model.pop("vocab", None)
        whole |= {
            "merges": model.pop("merges", None),
            "model": model,
            "added tokens": sorted(parts["added_tokens"] or [], key=lambda token: token["id"]),
            "normalizer": parts["normalizer"],
            "pre-tokenizer": parts["pre_tokenizer"],
            "special tokens around a text": _around(parts["post_processor"]),
        }
    return tuple(
        (name, digest_json(value if name == "vocabulary" else plain(value)))
        for name, value in whole.items()
    )


def plain(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    """Return a JSON value without settings that change no tokens; empty ones count as absent."""
    if isinstance(value, dict):
        kept = {key: plain(one) for key, one in value.items() if key not in IRRELEVANT}
        return {key: one for key, one in kept.items() if not _is_empty(one)} or None
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value


def _is_empty(value: object) -> bool:
    """Return whether a setting counts as absent; the number 0 does not."""
    return value is None or value is False or value in ("", [], {})


def _around(processor: Any) -> list[Any]:  # noqa: ANN401 - a JSON value
    """Return the token ids that a post-processor puts before and after one text (`A`)."""
    if processor is None or processor["type"] == "ByteLevel":
        return []
    if processor["type"] == "Sequence":
        return [one for part in processor["processors"] for one in _around(part)]
    if processor["type"] != "TemplateProcessing":
        return [processor]
    ids = {name: token["ids"] for name, token in processor["special_tokens"].items()}
    pieces = [
        ids.get(piece["SpecialToken"]["id"], []) if "SpecialToken" in piece else "A"
        for piece in processor["single"]
    ]
    return [] if pieces == ["A"] else [pieces]

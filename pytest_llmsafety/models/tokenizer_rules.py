"""What decides which tokens a text becomes, part by part: two tokenizers can be compared."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.models.digests import digest_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Parts = tuple[tuple[str, str], ...]
IRRELEVANT = frozenset({"trim_offsets", "type_id"})  # places in the text, kinds of segments


def rules_of(tokenizer: PreTrainedTokenizerBase) -> Parts:
    """Return (name, digest) of every part of a tokenizer that decides about tokens.

    Vocabulary, merges, added tokens, normalizer, pre-tokenizer, and the special tokens put around
    a text. Left out is what says nothing about tokens: padding, truncation, the decoder, versions
    and the order of keys. A tokenizer that only Python computes has a vocabulary alone.
    """
    whole: dict[str, Any] = {"vocabulary": tokenizer.get_vocab()}
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None and hasattr(backend, "to_str"):
        told = json.loads(backend.to_str())
        model = dict(told["model"])
        if isinstance(model.get("vocab"), list):  # pieces with their scores
            whole["scores"] = model["vocab"]
        model.pop("vocab", None)
        whole |= {
            "merges": model.pop("merges", None),
            "model": model,
            "added tokens": sorted(told["added_tokens"] or [], key=lambda token: token["id"]),
            "normalizer": told["normalizer"],
            "pre-tokenizer": told["pre_tokenizer"],
            "special tokens around a text": _around(told["post_processor"]),
        }
    return tuple(
        (name, digest_json(value if name == "vocabulary" else plain(value)))
        for name, value in whole.items()
    )


def plain(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    """Return a JSON value without what says nothing about tokens; empty is as good as absent."""
    if isinstance(value, dict):
        kept = {key: plain(one) for key, one in value.items() if key not in IRRELEVANT}
        return {key: one for key, one in kept.items() if not _is_empty(one)} or None
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value


def _is_empty(value: object) -> bool:
    """Whether a setting says nothing; the number 0 does say something."""
    return value is None or value is False or value in ("", [], {})


def _around(processor: Any) -> list[Any]:  # noqa: ANN401 - a JSON value
    """Return what a post-processor puts before and after one text (`A`), in token ids."""
    if processor is None or processor["type"] == "ByteLevel":
        return []
    if processor["type"] == "Sequence":
        return [one for part in processor["processors"] for one in _around(part)]
    if processor["type"] != "TemplateProcessing":
        return [processor]
    ids = {name: told["ids"] for name, told in processor["special_tokens"].items()}
    pieces = [
        ids.get(piece["SpecialToken"]["id"], []) if "SpecialToken" in piece else "A"
        for piece in processor["single"]
    ]
    return [] if pieces == ["A"] else [pieces]

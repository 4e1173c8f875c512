"""How a model would be served: its chat template, special tokens, end tokens and settings."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import ModelError
from pytest_llmsafety.models.model_folder import read_config, read_settings, tokenizer_files
from pytest_llmsafety.models.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from transformers import PreTrainedTokenizerBase

PROBE = "The cat sat on the mat."
SHOWN = 60
NOT_SETTINGS = {
    "_from_model_config", "bos_token_id", "decoder_start_token_id", "eos_token_id",
    "pad_token_id", "transformers_version",
}  # fmt: skip
"""Keys of generation_config.json that change no answer, or are compared as tokens."""
DEFAULTS = {
    "do_sample": False, "num_beams": 1, "num_return_sequences": 1, "output_attentions": False,
    "output_hidden_states": False, "output_logits": False, "output_scores": False,
    "repetition_penalty": 1.0, "return_dict_in_generate": False, "temperature": 1.0, "top_k": 50,
    "top_p": 1.0, "use_cache": True,
}  # fmt: skip
"""Values of settings that a file does not name; to name one of them is not a difference."""
NONE = "none"


@dataclass(frozen=True)
class Difference:
    """One respect in which a checkpoint would be served in another way than the dense model."""

    what: str
    dense: str
    compressed: str


@dataclass(frozen=True)
class Deployment:
    """What decides how a model answers, except its weights, read from its own files.

    `template` is the chat template, empty where there is none. `special_tokens` holds (name,
    token), also for the tokens that the tokenizer puts before and after each text. `ends` holds
    (id, token) of the end tokens in config.json and generation_config.json, and `settings` (name,
    value as JSON) of the other settings in the latter. Where `has_tokenizer` is False, the dense
    model's tokenizer is used.
    """

    template: str = ""
    special_tokens: tuple[tuple[str, str], ...] = ()
    ends: tuple[tuple[int, str], ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    has_tokenizer: bool = True

    @classmethod
    def of(cls, folder: Path) -> Deployment:
        """Read the files of a folder, except its weights. Raises ModelError."""
        settings = generation_settings(folder)
        ids = sorted(configured_ends(read_config(folder), settings))
        other = tuple(
            (name, json.dumps(value, sort_keys=True))
            for name, value in sorted(settings.items())
            if name not in NOT_SETTINGS and value is not None and DEFAULTS.get(name, ...) != value
        )
        if not tokenizer_files(folder):
            ends = tuple((token, "") for token in ids)
            return cls(ends=ends, settings=other, has_tokenizer=False)
        tokenizer = load_tokenizer(folder)
        names = [str(tokenizer.convert_ids_to_tokens(token)) for token in ids]
        return cls(
            template=known_template(tokenizer),
            special_tokens=(*_special_tokens(tokenizer), *_added(tokenizer)),
            ends=tuple(zip(ids, names, strict=True)),
            settings=other,
        )

    @classmethod
    def of_gguf(cls, path: Path, dense: Deployment) -> Deployment:
        """Read chat template, start and end token of a GGUF file; the rest is the dense model's.

        llama.cpp finds further end tokens by their names, so an end token that the dense model has,
        too, is not a difference.
        """
        import gguf

        fields = gguf.GGUFReader(str(path)).fields
        template = fields.get("tokenizer.chat_template")
        tokens, special, ends = (
            fields.get("tokenizer.ggml.tokens"),
            dict(dense.special_tokens),
            dense.ends,
        )
        named = {}
        for name in ("bos", "eos"):
            token = fields.get(f"tokenizer.ggml.{name}_token_id")
            if token is not None and tokens is not None:
                named[name] = int(token.contents()), str(tokens.contents(int(token.contents())))
        if "bos" in named and "bos_token" in special:
            special["bos_token"] = named["bos"][1]
        known = {special.get("eos_token", ""), *(name for _, name in ends)}
        if "eos" in named and named["eos"][1] not in known:
            special["eos_token"], ends = named["eos"][1], (named["eos"],)
        return replace(
            dense,
            template=str(template.contents()) if template is not None else "",
            special_tokens=tuple(special.items()),
            ends=ends,
        )

    @property
    def appended(self) -> str:
        """Tokens that the tokenizer puts after each text; empty where it puts none."""
        return dict(self.special_tokens).get(AFTER, "")

    @property
    def named_tokens(self) -> dict[str, str]:
        """Special tokens that a chat template may name, such as `bos_token`."""
        return {name: token for name, token in self.special_tokens if name.endswith("_token")}


AFTER, BEFORE = "after a text", "before a text"


def differences(dense: Deployment, other: Deployment) -> tuple[Difference, ...]:
    """Return each respect in which a checkpoint would be served unlike the dense model."""
    return tuple(_rows(dense, other))


def _rows(dense: Deployment, other: Deployment) -> Iterator[Difference]:
    if other.has_tokenizer:
        if dense.template != other.template:
            one, two = _apart(dense.template, other.template)
            yield Difference("chat template", one, two)
        yield from _by_name("special token", dense.special_tokens, other.special_tokens)
    if (ends := _ends(dense, dense)) != (others := _ends(other, dense)):
        yield Difference("set of end tokens", ", ".join(ends) or NONE, ", ".join(others) or NONE)
    yield from _by_name("generation setting", dense.settings, other.settings)


def _ends(one: Deployment, dense: Deployment) -> list[str]:
    """Return the names of the end tokens; the dense model's where there is no other tokenizer."""
    names = dict(dense.ends) | {token: name for token, name in one.ends if name}
    own = one if one.has_tokenizer else dense
    found = {names.get(token) or f"id {token}" for token, _ in one.ends}
    return sorted({*found, dict(own.special_tokens).get("eos_token", "")} - {""})


def _by_name(
    what: str, dense: tuple[tuple[str, str], ...], other: tuple[tuple[str, str], ...]
) -> Iterator[Difference]:
    one, two = dict(dense), dict(other)
    for name in sorted({*one, *two}):
        if one.get(name) != two.get(name):
            yield Difference(f"{what} {name}", one.get(name, NONE), two.get(name, NONE))


def _apart(one: str, two: str) -> tuple[str, str]:
    """Return a part of both texts from a little before the place where they differ."""
    if not one or not two:
        return tuple(_short(text, 0) if text else NONE for text in (one, two))  # type: ignore[return-value]
    same = takewhile(lambda pair: pair[0] == pair[1], zip(one, two, strict=False))
    place = max(0, sum(1 for _ in same) - SHOWN // 4)
    return _short(one, place), _short(two, place)


def _short(text: str, place: int) -> str:
    part = " ".join(text[place : place + SHOWN].split())
    return f"{'...' if place else ''}{part}{'...' if place + SHOWN < len(text) else ''}"


def known_template(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the template for conversations, or all templates as one text where none is named so.

    The result serves to compare templates, not to write prompts.
    """
    try:
        return template_of(tokenizer) or ""
    except ModelError:
        return json.dumps(tokenizer.chat_template, sort_keys=True)


def template_of(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """Return the template for conversations; None where the tokenizer has no template.

    Of several templates it is the one named `default`. Raises ModelError where there is none of
    this name.
    """
    given: Any = tokenizer.chat_template
    if not isinstance(given, dict):
        return str(given) if given else None
    if "default" in given or len(given) == 1:
        return str(given.get("default") or next(iter(given.values()))) or None
    if not given:
        return None
    message = (
        f"the tokenizer has {len(given)} chat templates ({', '.join(sorted(given))}), and none is "
        "named 'default'. Expected one template for conversations: rename it to 'default' in "
        "tokenizer_config.json, or save it as chat_template.jinja."
    )
    raise ModelError(message)


def appended_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Return the token ids that the tokenizer puts after each text, such as an end token."""
    return _around(tokenizer)[1]


def generation_settings(folder: Path) -> dict[str, Any]:
    """Return generation_config.json; empty where there is none. Raises ModelError."""
    return read_settings(folder / "generation_config.json")


def configured_ends(config: Mapping[str, Any], settings: Mapping[str, Any]) -> set[int]:
    """Return the ids of the end tokens that config.json and generation_config.json name."""
    text = config.get("text_config")
    texts = [config, text if isinstance(text, dict) else {}, settings]
    said = [one.get("eos_token_id") for one in texts]
    listed = [token for each in said for token in (each if isinstance(each, list) else [each])]
    return {token for token in listed if isinstance(token, int)}


def served_ends(folder: Path, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Return the ids that end a text of the model in `folder`, by its files and its tokenizer."""
    found = configured_ends(read_config(folder), generation_settings(folder))
    own: Any = tokenizer.eos_token_id
    return frozenset(found if own is None else {*found, int(own)})


def _special_tokens(tokenizer: PreTrainedTokenizerBase) -> Iterator[tuple[str, str]]:
    for name, token in sorted(tokenizer.special_tokens_map.items()):
        listed = isinstance(token, (list, tuple))
        yield str(name), json.dumps([*map(str, token)]) if listed else str(token)


def _added(tokenizer: PreTrainedTokenizerBase) -> Iterator[tuple[str, str]]:
    """Yield the tokens that the tokenizer puts before and after each text."""
    for name, ids in zip((BEFORE, AFTER), _around(tokenizer), strict=True):
        if ids:
            yield name, " ".join(map(str, tokenizer.convert_ids_to_tokens(list(ids))))


def _around(tokenizer: PreTrainedTokenizerBase) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the token ids that the tokenizer puts before and after a text."""
    whole = list(tokenizer(PROBE, verbose=False)["input_ids"])
    bare = list(tokenizer(PROBE, add_special_tokens=False, verbose=False)["input_ids"])
    for start in range(len(whole) - len(bare) + 1):
        if bare and whole[start : start + len(bare)] == bare:
            return tuple(whole[:start]), tuple(whole[start + len(bare) :])
    special = set(tokenizer.all_special_ids) - set(bare)
    inner = [place for place, token in enumerate(whole) if token not in special] or [0]
    return tuple(whole[: inner[0]]), tuple(whole[inner[-1] + 1 :])

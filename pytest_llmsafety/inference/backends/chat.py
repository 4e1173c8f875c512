"""A user's words as tokens: through the model's chat template, or as a plain dialogue."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cache
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import ModelError
from pytest_llmsafety.inference.backends.template_limits import (
    EndlessTemplateError,
    bounded,
    check_arithmetic,
)
from pytest_llmsafety.inference.backends.thinking import opened
from pytest_llmsafety.inference.backends.tokens import encode
from pytest_llmsafety.models.deployment import served_ends, template_of
from pytest_llmsafety.models.locate import locate
from pytest_llmsafety.models.model_folder import tokenizer_files
from pytest_llmsafety.models.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transformers import PreTrainedTokenizerBase

    from pytest_llmsafety.models.deployment import Deployment
    from pytest_llmsafety.specs import ModelSpec
    from pytest_llmsafety.types import Generate

ROLES = ("user", "assistant")
TODAY = datetime(2024, 7, 26, tzinfo=timezone.utc)
"""The date that every template gets: an answer must not depend on the day."""
DIRECTIVES = "aAbBcdDeFHIjmMpRSTuUwWxXyYzZ"
NO_ZEROS = "dHIjmMSy"
NEXT_TURN = "\n\nUser:"
"""Where a plain dialogue goes on with words of the user that nobody said."""
STAND_IN = "qvzkxjwqf"
"""Words of a user that occur in no template."""
WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Rendered:
    """One request as the model reads it: its tokens, and what the answer begins with.

    `opens` is the start of a thought that the template itself writes, empty where it writes none.
    """

    ids: list[int]
    opens: str = ""


@dataclass(frozen=True)
class ChatFormat:
    """A model's format of conversations: its tokenizer, template and end tokens.

    `template` None stands for a plain dialogue. `special` replaces special tokens by name in a
    template. `ends` are the ids of the tokens that end an answer.
    """

    tokenizer: PreTrainedTokenizerBase
    template: str | None
    ends: frozenset[int] = frozenset()
    special: Mapping[str, Any] = field(default_factory=dict)

    def rendered(self, requests: Sequence[Generate]) -> list[Rendered]:
        """Return what the model reads of each request.

        Raises ModelError for a conversation that the template refuses, does not write out, or
        writes like another one.
        """
        through = [request.chat and self.template is not None for request in requests]
        texts = [
            request.context if not request.chat or by_template else plain_dialogue(request)
            for request, by_template in zip(requests, through, strict=True)
        ]
        found = [Rendered(ids) for ids in encode(self.tokenizer, texts)]
        first: dict[str, Generate] = {}
        tails: dict[object, str] = {}
        for place, request in enumerate(requests):
            if not through[place]:
                continue
            text = self._written(request)
            check_written(request, first.setdefault(text, request), text)
            ids = list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
            kind = request.template, request.turns
            if kind not in tails:
                tails[kind] = self._tail(request)
            found[place] = Rendered(ids, opened(tails[kind], request.think_end))
        return found

    def stopped(self, request: Generate) -> Generate:
        """Return the request with what ends an answer in a plain dialogue, if that is one."""
        if not request.chat or self.template is not None:
            return request
        return replace(request, stop=(*request.stop, NEXT_TURN))

    def _tail(self, request: Generate) -> str:
        """Return what the template writes after the last words of the user, whatever they are."""
        return self._written(replace(request, context=STAND_IN)).rpartition(STAND_IN)[2]

    def _written(self, request: Generate) -> str:
        """Return a conversation as the template writes it, special tokens included.

        `enable_thinking` is False for a template that knows it, unless the request says otherwise.
        """
        said = [*request.turns, request.context]
        messages = [{"role": ROLES[i % 2], "content": text} for i, text in enumerate(said)]
        given = {name: json.loads(value) for name, value in request.template}
        template = dated(self.template or "")
        check_arithmetic(template)
        try:
            with bounded():
                text = self.tokenizer.apply_chat_template(
                    messages,
                    tokenize=False,
                    add_generation_prompt=True,
                    chat_template=template,
                    **{"enable_thinking": False} | dict(self.special) | given,
                )
        except EndlessTemplateError:
            raise
        except Exception as error:
            message = (
                f"the model's chat template refuses a conversation of {len(said)} messages: "
                f"{error}. Correct the template, or use a measurement without conversations."
            )
            raise ModelError(message) from error
        return str(text)


class ChatFormats:
    """The chat formats of one loaded model: the dense model's, and that of its own files.

    `served` says how a dense model is deployed whose files are not available; `checkpoint` is the
    finished model, which may have files of its own.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        ends: frozenset[int],
        served: Deployment | None = None,
        checkpoint: ModelSpec | None = None,
    ) -> None:
        """Read no file yet."""
        self._tokenizer = tokenizer
        self._ends = ends
        self._served = served
        self._checkpoint = checkpoint
        self._loaded: PreTrainedTokenizerBase | None = None

    def dense(self, *, chat: bool) -> ChatFormat:
        """Return the dense model's format; `chat`: some requests are conversations."""
        served, tokenizer = self._served, self._tokenizer
        if served is None:
            return ChatFormat(tokenizer, template_of(tokenizer) if chat else None, self._ends)
        special = served.named_tokens
        own = (
            tokenizer.convert_tokens_to_ids(special["eos_token"])
            if "eos_token" in special
            else None
        )
        ends = {token for token, _ in served.ends} | ({own} if isinstance(own, int) else set())
        return ChatFormat(tokenizer, served.template or None, frozenset(ends), special)

    def own(self, *, chat: bool) -> ChatFormat:
        """Return the checkpoint's format; without a tokenizer of its own, the dense model's."""
        if self._checkpoint is None:
            return self.dense(chat=chat)
        folder = locate(self._checkpoint, tokenizer=False)
        if not tokenizer_files(folder):
            shared = self.dense(chat=chat)
            return replace(shared, ends=served_ends(folder, shared.tokenizer))
        self._loaded = self._loaded or load_tokenizer(folder)
        template = template_of(self._loaded) if chat else None
        return ChatFormat(self._loaded, template, served_ends(folder, self._loaded))


@cache
def dated(template: str) -> str:
    """Return a template in which `strftime_now` gives a fixed date, whatever the format.

    transformers hands no function of ours to a template, so the template gets a macro of that name.
    """
    if "strftime_now" not in template:
        return template
    fixed = {f"%-{one}": TODAY.strftime(f"%{one}").lstrip("0") or "0" for one in NO_ZEROS}
    fixed |= {f"%{one}": TODAY.strftime(f"%{one}") for one in DIRECTIVES} | {"%%": "%"}
    filters = "".join(f"|replace({one!r}, {text!r})" for one, text in fixed.items())
    macro = f"{{% macro strftime_now(format) %}}{{{{ format{filters} }}}}{{% endmacro %}}"
    return f"{macro}\n{template}"


def check_written(request: Generate, first: Generate, text: str) -> None:
    """Raise ModelError unless `text`, as a template wrote it, is this conversation and no other.

    `first` is the first request that became the same text.
    """
    for said in (*request.turns[::2], request.context):
        if said.strip() not in text and (missing := _missing(said, text)):
            message = (
                "the model's chat template does not write out what the user says: of "
                f"{said[:80]!r} it leaves out {', '.join(missing[:5])}. The model would "
                "not read the request. Expected a template that takes the content of a message "
                "as a text, not as a list of parts: save the one that belongs to the text model."
            )
            raise ModelError(message)
    if _plain(first) != _plain(request):
        message = (
            "the model's chat template writes different requests alike, such as "
            f"{first.context[:60]!r} and {request.context[:60]!r}. Expected a template that writes "
            "out every word of a user: correct it."
        )
        raise ModelError(message)


def _missing(said: str, text: str) -> list[str]:
    whole = text.casefold()
    return [word for word in dict.fromkeys(WORD.findall(said.casefold())) if word not in whole]


def _plain(request: Generate) -> list[str]:
    """Return what was said, without its spaces and case; a template may trim both."""
    return [" ".join(said.casefold().split()) for said in (*request.turns, request.context)]


def plain_dialogue(request: Generate) -> str:
    """Return a conversation as text, for a model that has no template."""
    said = [*request.turns, request.context]
    lines = [f"{ROLES[i % 2].capitalize()}: {text}\n\n" for i, text in enumerate(said)]
    return f"{''.join(lines)}Assistant:"

"""Asking a judge: an endpoint or a local model, each question once for a cache."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from pytest_llmsafety.inference.backends.endpoint import Endpoint
from pytest_llmsafety.inference.backends.thinking import answered
from pytest_llmsafety.inference.cached_loop import complete
from pytest_llmsafety.metrics.judge import preferred
from pytest_llmsafety.models.digests import digest_json
from pytest_llmsafety.specs import Arm, ModelSpec
from pytest_llmsafety.types import ChatSettings, Generate, Generation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_llmsafety.inference.engine import Engine

    AskJudge = Callable[[Sequence[Generate]], list[Generation]]

KEY = "LLMSAFETY_JUDGE_KEY"
ROOM = 4096
"""Tokens of an answer for a judge that thinks aloud."""


def check_judge(judge: str | None, engine: Engine) -> None:
    """Raise ConfigurationError or ModelError for a judge that cannot be asked; ask nothing."""
    if judge and is_address(judge):
        Endpoint.parse(judge, os.environ.get(KEY, ""))
    elif judge:
        engine.folder(ModelSpec.parse(judge))


def judge_client(
    judge: str, engine: Engine, model: ModelSpec, chat: ChatSettings | None = None
) -> AskJudge:
    """What asks `judge`: `URL#MODEL`, or a folder or hub id, on the device of `model`.

    With `chat`, the settings of its conversations, it is asked one question on trial.
    """
    ask_judge = _asking(judge, engine, model)
    return ask_judge if chat is None else OnTrial(ask_judge, chat)


class OnTrial:
    """Asks a judge one question before all others, and no more where its answer is no verdict.

    A judge whose answer is cut off before its verdict, as of one that thinks aloud, is asked once
    more with room for ROOM tokens, which all others then get, unless the settings say how many.
    """

    def __init__(self, ask_judge: AskJudge, chat: ChatSettings) -> None:
        """Ask nothing yet."""
        self._ask_judge = ask_judge
        self._chat = chat
        self._tried = False
        self._silence = ""

    def __call__(self, requests: Sequence[Generate]) -> list[Generation]:
        """The answers in order; all of them the same problem where the trial failed."""
        if requests and not self._tried:
            self._try(self._put(requests[0]))
            self._tried = True
        if self._silence:
            return [Generation((), problem=self._silence)] * len(requests)
        return self._ask_judge([*map(self._put, requests)])

    def _put(self, request: Generate) -> Generate:
        """The question under the settings."""
        put = self._chat.put(request)
        assert isinstance(put, Generate)  # noqa: S101 - narrows a type
        return put

    def _try(self, question: Generate) -> None:
        """Find out whether the judge gives a verdict, and how much room it needs."""
        (answer,) = self._ask_judge([question])
        cut = bool(answer.finished) and not all(answer.finished)
        if not preferred(answer)[0] and cut and self._chat.answer_tokens is None:
            (longer,) = self._ask_judge([replace(question, max_new_tokens=ROOM)])
            if preferred(longer)[0]:
                self._chat, answer = replace(self._chat, answer_tokens=ROOM), longer
        verdict, why = preferred(answer)
        if not verdict:
            self._silence = (
                f"one question was asked on trial, and the others were not, because {why}"
            )


def _asking(judge: str, engine: Engine, model: ModelSpec) -> AskJudge:
    """What asks a judge as it is told to."""
    if is_address(judge):
        endpoint = Endpoint.parse(judge, os.environ.get(KEY, ""))
        return lambda requests: remembered(endpoint, engine, requests)
    arm = Arm(ModelSpec.parse(judge, dtype=model.dtype, device=model.device))

    def ask(requests: Sequence[Generate]) -> list[Generation]:
        return [one for one in engine.answer(arm, requests) if isinstance(one, Generation)]

    return ask


def is_address(judge: str) -> bool:
    """Whether a judge is an endpoint; any other text is a model."""
    return judge.startswith(("http://", "https://"))


def remembered(
    endpoint: Endpoint, engine: Engine, requests: Sequence[Generate]
) -> list[Generation]:
    """Answers in order; they are stored, those that were cut by length too, and faults are not.

    Address, model and request are the key. A cut answer that was asked for again could come back
    whole, and so turn a verdict.
    """
    who = {"url": endpoint.url, "model": endpoint.model}
    keys = [digest_json({"judge": who, "request": asdict(request)}) for request in requests]
    found = complete(
        engine.cache,
        dict(zip(keys, requests, strict=True)),
        lambda missing: ([one] for one in endpoint.answer(missing)),
        engine.progress,
        f"judge {endpoint.model}",
        storable=lambda answer: not answer.problem,
    )
    return [answered(found[key]) for key in keys]

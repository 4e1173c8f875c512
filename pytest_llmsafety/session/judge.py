"""The judge of a session: an endpoint or a local model, asked each question once for a cache."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from pytest_llmsafety.inference.backends.endpoint import Endpoint
from pytest_llmsafety.inference.backends.thinking import without_thoughts
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
LONG_ANSWER = 4096
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
    """Return the function that asks `judge`: `URL#MODEL`, or a folder or hub id.

    A local judge runs on the device of `model`. With `chat`, the settings of the judge's
    conversations, one question is asked on trial before all others.
    """
    ask_judge = _ask_function(judge, engine, model)
    return ask_judge if chat is None else TrialFirst(ask_judge, chat)


class TrialFirst:
    """Asks a judge one question first, and no other where the answer holds no verdict.

    If the first answer is cut off before its verdict, as that of a judge that thinks aloud, the
    question is asked again with room for LONG_ANSWER tokens. If that helps, all questions get this
    room, unless the settings name a length.
    """

    def __init__(self, ask_judge: AskJudge, chat: ChatSettings) -> None:
        """Ask nothing yet."""
        self._ask_judge = ask_judge
        self._chat = chat
        self._tried = False
        self._problem = ""

    def __call__(self, requests: Sequence[Generate]) -> list[Generation]:
        """Return the answers in order; where the trial failed, the same problem for all."""
        if requests and not self._tried:
            self._try(self._put(requests[0]))
            self._tried = True
        if self._problem:
            return [Generation((), problem=self._problem)] * len(requests)
        return self._ask_judge([*map(self._put, requests)])

    def _put(self, request: Generate) -> Generate:
        put = self._chat.put(request)
        assert isinstance(put, Generate)  # noqa: S101 - narrows a type
        return put

    def _try(self, question: Generate) -> None:
        """Find out whether the judge gives a verdict, and how much room it needs."""
        (answer,) = self._ask_judge([question])
        cut = bool(answer.finished) and not all(answer.finished)
        if not preferred(answer)[0] and cut and self._chat.answer_tokens is None:
            (longer,) = self._ask_judge([replace(question, max_new_tokens=LONG_ANSWER)])
            if preferred(longer)[0]:
                self._chat, answer = replace(self._chat, answer_tokens=LONG_ANSWER), longer
        verdict, why = preferred(answer)
        if not verdict:
            self._problem = (
                f"one question was asked on trial, and the others were not, because {why}"
            )


def _ask_function(judge: str, engine: Engine, model: ModelSpec) -> AskJudge:
    if is_address(judge):
        endpoint = Endpoint.parse(judge, os.environ.get(KEY, ""))
        return lambda requests: cached_answers(endpoint, engine, requests)
    arm = Arm(ModelSpec.parse(judge, dtype=model.dtype, device=model.device))

    def ask(requests: Sequence[Generate]) -> list[Generation]:
        return [one for one in engine.answer(arm, requests) if isinstance(one, Generation)]

    return ask


def is_address(judge: str) -> bool:
    """Return whether a judge is an endpoint; any other text names a model."""
    return judge.startswith(("http://", "https://"))


def cached_answers(
    endpoint: Endpoint, engine: Engine, requests: Sequence[Generate]
) -> list[Generation]:
    """Return the endpoint's answers in order, from the cache where it has them.

    The key is made of address, model and request. Answers that length cut off are stored, too:
    asked again, one could come back whole and turn a verdict. Problems are not stored.
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
    return [without_thoughts(found[key]) for key in keys]

"""Asking a judge: an endpoint or a local model, each question once for a cache."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from pytest_llmsafety.backends.endpoint import Endpoint
from pytest_llmsafety.fingerprint import digest_json
from pytest_llmsafety.pair import Arm
from pytest_llmsafety.records import Generate, Generation
from pytest_llmsafety.source import locate
from pytest_llmsafety.specs import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_llmsafety.engine import Engine

    Consult = Callable[[Sequence[Generate]], list[Generation]]

KEY = "LLMSAFETY_JUDGE_KEY"


def check_judge(judge: str | None) -> None:
    """Raise ConfigurationError or ModelError for a judge that cannot be asked; asks nothing."""
    if judge and is_address(judge):
        Endpoint.parse(judge, os.environ.get(KEY, ""))
    elif judge:
        locate(ModelSpec.parse(judge))


def consultant(judge: str, engine: Engine, model: ModelSpec) -> Consult:
    """What asks `judge`: `URL#MODEL`, or a folder or hub id, on the device of `model`."""
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
    """Answers in order; only those that came whole are stored, under address, model and request."""
    who = {"url": endpoint.url, "model": endpoint.model}
    keys = [digest_json({"judge": who, "request": asdict(request)}) for request in requests]
    found = engine.cache.complete(
        dict(zip(keys, requests, strict=True)), _whole, partial(_asked, endpoint, engine)
    )
    return [found[key] for key in keys]


def _whole(_: str, text: str) -> Generation:
    """The answer that was stored as `text`."""
    return Generation((json.loads(text),), (0,), (True,))


def _asked(
    endpoint: Endpoint, engine: Engine, missing: dict[str, Generate]
) -> dict[str, Generation]:
    """Ask each question, and store every whole answer as soon as it is there."""
    waiting, found = list(missing), {}
    with engine.progress.bar(f"judge {endpoint.model}", len(waiting)) as bar:
        for index, answer in endpoint.answer(list(missing.values())):
            found[waiting[index]] = answer
            if not answer.problem and all(answer.finished):
                engine.cache.put_many({waiting[index]: json.dumps(answer.texts[0])})
            bar.advance(1)
    return found

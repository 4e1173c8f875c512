"""A model behind an address: any endpoint that speaks OpenAI's chat completions."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import ConfigurationError, EndpointError
from pytest_llmsafety.inference.backends.post import Stop, post
from pytest_llmsafety.redaction import without_access, without_key
from pytest_llmsafety.types import Generate, Generation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

BAD_REQUEST = 400
TRY_AGAIN = {408, 429, 500, 502, 503, 504}
ATTEMPTS = 5
LONGEST_WAIT_S = 60.0
AT_ONCE = 4
USUAL_TOKENS, SECONDS_A_TOKEN = 512, 0.1
"""What an answer of more tokens may take beyond the time limit."""
ROLES = ("user", "assistant")


@dataclass(frozen=True)
class Endpoint:
    """The model `model` at `url` (up to `/v1`); answers are asked for at temperature 0.

    What may pass (no connection, a slow or broken answer, 429, 5xx) is tried again, `attempts`
    times in all; what stays unanswered is a response with a problem, and the rest of those
    requests is not asked. `timeout_s` limits a silence, `total_s` one question with all attempts.
    The key is in nothing that comes back.
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    timeout_s: float = 120.0
    total_s: float = 600.0
    attempts: int = ATTEMPTS
    pause: Callable[[float], object] | None = field(default=None, repr=False)
    refused: set[str] = field(default_factory=set, repr=False, compare=False)
    """Parameters that the endpoint does not take, found out by the status 400."""

    @classmethod
    def parse(cls, text: str, key: str = "") -> Endpoint:
        """Read `URL#MODEL`. Raises ConfigurationError for anything else."""
        url, _, model = text.partition("#")
        try:
            parts = urllib.parse.urlsplit(url)
            whole = parts.scheme in {"http", "https"} and bool(parts.hostname and model)
        except ValueError:
            whole = False
        if not whole:
            message = (
                f"'{without_access(text)}' is not an endpoint. Expected URL#MODEL, as in "
                "http://host:8000/v1#name"
            )
            raise ConfigurationError(message)
        if "@" in parts.netloc or "?" in url:
            message = (
                f"the address '{without_access(text)}' holds a user, a password or a query, which "
                "reports and printed commands would show. Expected an address without them; put "
                "the key into the environment variable LLMSAFETY_JUDGE_KEY."
            )
            raise ConfigurationError(message)
        return cls(url.rstrip("/"), model, _checked(key))

    def answer(self, requests: Sequence[Generate]) -> Iterator[tuple[int, Generation]]:
        """Answer each request once, a few at a time, in the order in which answers come.

        Raises EndpointError when the endpoint refuses: a wrong key, address or model.
        """
        lost: list[str] = []
        stop = Stop()

        def one(request: Generate) -> Generation:
            if lost:
                return Generation((), problem=lost[0])
            try:
                return self._ask(request, stop)
            except TimeoutError as error:
                lost.append(str(error))
                return Generation((), problem=lost[0])

        with ThreadPoolExecutor(AT_ONCE) as pool:
            running = {pool.submit(one, request): i for i, request in enumerate(requests)}
            try:
                for future in as_completed(running):
                    yield running[future], future.result()
            finally:
                stop()  # of a caller that wants no more, as after ^C
                pool.shutdown(wait=True, cancel_futures=True)

    def _ask(self, request: Generate, stop: Stop) -> Generation:
        """One request. Raises TimeoutError when all attempts are used up."""
        why = ""
        pause = self.pause or stop.called.wait
        # a judge that thinks is silent until it has thought
        longer_s = SECONDS_A_TOKEN * max(0, request.max_new_tokens - USUAL_TOKENS)
        total_s = self.total_s + longer_s
        attempt, until = -1, time.monotonic() + total_s
        while attempt + 1 < self.attempts:
            attempt += 1
            refused = frozenset(self.refused)
            try:
                asked = self._request(request, refused)
                left_s, timeout_s = until - time.monotonic(), self.timeout_s + longer_s
                return _read(
                    post(asked, timeout_s=timeout_s, total_s=left_s, key=self.key, stop=stop)
                )
            except urllib.error.HTTPError as error:
                told = error.read().decode()
                why = f"HTTP {error.code}: {told[:200]}"
                if error.code == BAD_REQUEST and (named := _named(told) - refused):
                    self.refused.update(named)
                    attempt -= 1
                    continue
                if error.code not in TRY_AGAIN:
                    message = f"{self.url} refuses to answer as '{self.model}' ({why})."
                    raise EndpointError(message) from None
                wait = error.headers.get("Retry-After", "")
            except (OSError, http.client.HTTPException, ValueError) as error:
                why, wait = without_key(f"{type(error).__name__}: {error}", self.key), ""
            if time.monotonic() >= until or stop.called.is_set():
                message = f"{self.url} gave no answer within {total_s:g} seconds ({why})"
                raise TimeoutError(message)
            if attempt + 1 < self.attempts:
                seconds = float(wait) if wait.isdecimal() else 2.0**attempt
                pause(min(seconds, LONGEST_WAIT_S))
        message = f"{self.url} gave no answer in {self.attempts} attempts ({why})"
        raise TimeoutError(message)

    def _request(self, request: Generate, refused: frozenset[str]) -> urllib.request.Request:
        """Return what is sent for one request, without the parameters `refused`."""
        said = [*request.turns, request.context]
        messages = [{"role": ROLES[i % 2], "content": text} for i, text in enumerate(said)]
        limit = "max_completion_tokens" if "max_tokens" in refused else "max_tokens"
        body = {"model": self.model, "messages": messages, limit: request.max_new_tokens}
        if "temperature" not in refused:
            body["temperature"] = 0
        if request.template:
            given = {name: json.loads(value) for name, value in request.template}
            body["chat_template_kwargs"] = given
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        return urllib.request.Request(  # noqa: S310 - `parse` lets http and https through alone
            f"{self.url}/chat/completions", json.dumps(body).encode(), headers
        )


def _checked(key: str) -> str:
    """Return the key without blanks around it. Raises ConfigurationError that does not show it."""
    key = key.strip()
    if not all("!" <= letter <= "~" for letter in key):
        message = (
            "LLMSAFETY_JUDGE_KEY holds blanks, line ends or letters that are not ASCII, which no "
            "header can carry. Expected a key as the endpoint gave it."
        )
        raise ConfigurationError(message)
    return key


def _named(told: str) -> set[str]:
    """The parameters that an endpoint refuses in favour of others, as reasoning models do."""
    found = {"max_tokens"} if "max_completion_tokens" in told else set()
    return found | ({"temperature"} if "temperature" in told else set())


def _read(answer: Any) -> Generation:  # noqa: ANN401 - whatever the endpoint says
    """Return the text of an answer. Raises EndpointError for JSON of another kind."""
    try:
        choice = answer["choices"][0]
        said, reason = choice["message"], choice.get("finish_reason")
        text = said["content"] or ""
        if not isinstance(text, str):
            raise TypeError(_kind(text))  # noqa: TRY301 - one message for all of them
        if not text and (thought := said.get("reasoning_content") or said.get("reasoning")):
            text = f"<think>{thought}"  # a server that tells thoughts apart, and nothing but those
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        message = (
            f"the endpoint's answer is no chat completion ({error!r}): {str(answer)[:200]}. "
            "Expected an address that speaks OpenAI's API, up to /v1."
        )
        raise EndpointError(message) from error
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return Generation((whole,), (0,), (reason != "length",))


def _kind(content: object) -> str:
    return f"its content is of the type {type(content).__name__}, not a text"

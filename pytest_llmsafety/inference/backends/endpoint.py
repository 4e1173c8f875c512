"""A model behind an address: any endpoint with OpenAI's chat completions, through their client."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.parse
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import ConfigurationError, EndpointError
from pytest_llmsafety.redaction import without_access, without_key
from pytest_llmsafety.types import Generate, Generation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from openai import AsyncOpenAI

BAD_REQUEST = 400
TRY_AGAIN = {408, 429, 500, 502, 503, 504}
ATTEMPTS = 5
LONGEST_WAIT_S = 60.0
AT_ONCE = 4
SHORT_ANSWER, SECONDS_A_TOKEN = 512, 0.1
"""The time that an answer of more tokens may take beyond the time limit."""
MOST_BYTES = 8 << 20
SHOWN = 200
ROLES = ("user", "assistant")
WORDS = frozenset({
    "choices", "content", "finish_reason", "message", "reasoning", "reasoning_content"
})  # fmt: skip
"""Names in an answer that stay as they are, even where the key is one of them."""
EXPECTED = "Expected an address with OpenAI's API, up to /v1."


@dataclass(frozen=True)
class Endpoint:
    """The model `model` at `url` (up to `/v1`), asked at temperature 0.

    What may pass (no connection, a slow or broken answer, 429, 5xx) is tried again, `attempts`
    times in all. After that the request gets a response with a problem, and the requests after
    it are not sent. `timeout_s` limits a silence, `total_s` one request with all its attempts.
    `pause` replaces waiting between attempts. Nothing that is returned or raised holds the key.
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    timeout_s: float = 120.0
    total_s: float = 600.0
    attempts: int = ATTEMPTS
    pause: Callable[[float], object] | None = field(default=None, repr=False)
    refused: set[str] = field(default_factory=set, repr=False, compare=False)
    """Parameters that the endpoint does not take, as its status 400 said."""

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
        _require_client()
        return cls(url.rstrip("/"), model, _checked(key))

    def answer(self, requests: Sequence[Generate]) -> Iterator[tuple[int, Generation]]:
        """Yield (index, response) for each request once, in the order in which answers come.

        A few requests are under way at a time. Raises EndpointError when the endpoint refuses: a
        wrong key, address or model. A caller that stops early ends the requests under way.
        """
        answers: SimpleQueue[Any] = SimpleQueue()
        thread = Thread(target=lambda: asyncio.run(self._answer(requests, answers)), daemon=True)
        thread.start()  # the caller may have an event loop of its own
        stop = answers.get()
        try:
            for _ in requests:
                answer = answers.get()
                if isinstance(answer, BaseException):
                    raise answer
                yield answer
        finally:
            stop()
            thread.join()

    async def _answer(self, requests: Sequence[Generate], answers: SimpleQueue[Any]) -> None:
        """Put into `answers` what stops this task, then each answer, or the error that ends all."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101 - this is a task

        def stop() -> None:
            with suppress(RuntimeError):  # the loop is closed when all is done
                loop.call_soon_threadsafe(task.cancel)

        answers.put(stop)
        turns, lost = asyncio.Semaphore(AT_ONCE), list[str]()

        async def one(index: int, request: Generate, client: AsyncOpenAI) -> None:
            async with turns:
                try:
                    found = Generation((), problem=lost[0]) if lost else None
                    answers.put((index, found or await self._ask(request, client)))
                except asyncio.TimeoutError as error:
                    lost.append(str(error))
                    answers.put((index, Generation((), problem=lost[0])))

        try:
            async with _client(self.url, self.key) as client:
                await asyncio.gather(*(one(i, each, client) for i, each in enumerate(requests)))
        except asyncio.CancelledError:
            return
        except Exception as error:  # noqa: BLE001 - raised again by the caller's thread
            answers.put(error)

    async def _ask(self, request: Generate, client: AsyncOpenAI) -> Generation:
        """Return one answer. Raises TimeoutError when all attempts are used up."""
        from openai import APIConnectionError, APIStatusError

        # a judge that thinks is silent until it has thought
        longer_s = SECONDS_A_TOKEN * max(0, request.max_new_tokens - SHORT_ANSWER)
        timeout_s, total_s = self.timeout_s + longer_s, self.total_s + longer_s
        attempt, until = 0, time.monotonic() + total_s
        while True:
            refused, wait_s = frozenset(self.refused), 2.0**attempt
            try:
                sent = client.chat.completions.with_raw_response.create(
                    **self._body(request, refused), timeout=timeout_s
                )
                response = await asyncio.wait_for(sent, until - time.monotonic())
                return _read(_parsed(response.content, self.key))
            except APIStatusError as error:
                text = without_key(error.response.content.decode("utf-8", "replace"), self.key)
                why = f"HTTP {error.status_code}: {text[:SHOWN]}"
                named = _named(text) - refused if error.status_code == BAD_REQUEST else set()
                self.refused.update(named)
                if named:
                    continue
                if error.status_code not in TRY_AGAIN:
                    message = f"{self.url} refuses to answer as '{self.model}' ({why})."
                    raise EndpointError(message) from None
                said = error.response.headers.get("Retry-After", "")
                wait_s = float(said) if said.isdecimal() else wait_s
            except (APIConnectionError, asyncio.TimeoutError, ValueError) as error:
                why = without_key(f"{type(error).__name__}: {error.__cause__ or error}", self.key)
            attempt += 1
            if time.monotonic() >= until:
                message = f"{self.url} gave no answer within {total_s:g} seconds ({why})"
                raise asyncio.TimeoutError(message)
            if attempt == self.attempts:
                message = f"{self.url} gave no answer in {self.attempts} attempts ({why})"
                raise asyncio.TimeoutError(message)
            await self._wait(min(wait_s, LONGEST_WAIT_S))

    async def _wait(self, seconds: float) -> None:
        if self.pause is None:
            await asyncio.sleep(seconds)
        else:
            self.pause(seconds)

    def _body(self, request: Generate, refused: frozenset[str]) -> dict[str, Any]:
        """Return what is sent for one request, without the parameters `refused`."""
        said = [*request.turns, request.context]
        messages = [{"role": ROLES[i % 2], "content": text} for i, text in enumerate(said)]
        limit = "max_completion_tokens" if "max_tokens" in refused else "max_tokens"
        body = {"model": self.model, "messages": messages, limit: request.max_new_tokens}
        if "temperature" not in refused:
            body["temperature"] = 0
        if request.template:
            given = {name: json.loads(value) for name, value in request.template}
            body["extra_body"] = {"chat_template_kwargs": given}
        return body


def _require_client() -> None:
    """Raise ConfigurationError where the openai package is not installed."""
    try:
        import httpx2  # noqa: F401 - openai 3 uses it
        import openai  # noqa: F401
    except ImportError as error:
        message = (
            "a judge behind an address needs the openai package, which is not installed. "
            "Install it with: pip install 'pytest-llmsafety[openai]'"
        )
        raise ConfigurationError(message) from error


def _client(url: str, key: str) -> AsyncOpenAI:
    """Return a client that sends this key and nothing of the environment, and follows nothing.

    Its own retries are off, so that each attempt counts. The package takes headers, such as an
    organization or any custom one, from environment variables; the transport sends none of them.
    """
    import httpx2
    from openai import AsyncOpenAI

    class Transport(httpx2.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            """Send only what a chat completion needs, and read no more than MOST_BYTES."""
            names = ("Host", "Content-Type", "Content-Length")
            headers = {name: request.headers[name] for name in names if name in request.headers}
            if key:
                headers["Authorization"] = f"Bearer {key}"
            sent = httpx2.Request(
                request.method,
                request.url,
                headers=headers,
                stream=request.stream,
                extensions=request.extensions,
            )
            response = await super().handle_async_request(sent)
            content = bytearray()
            try:
                async for part in response.aiter_raw():
                    content += part
                    if len(content) > MOST_BYTES:
                        break
            finally:
                await response.aclose()
            after = {"Retry-After": response.headers.get("Retry-After", "")}
            return httpx2.Response(response.status_code, headers=after, content=bytes(content))

    parts = urllib.parse.urlsplit(url)
    proxies = (
        {} if urllib.request.proxy_bypass(parts.hostname or "") else urllib.request.getproxies()
    )
    transport = Transport(proxy=proxies.get(parts.scheme))
    http = httpx2.AsyncClient(transport=transport, trust_env=False, follow_redirects=False)
    return AsyncOpenAI(api_key=key or "none", base_url=url, http_client=http, max_retries=0)


def _parsed(content: bytes, key: str) -> Any:  # noqa: ANN401 - whatever the endpoint says
    """Return the JSON of an answer, in which `key` is replaced.

    Raises EndpointError for one that is too long or nested too deeply, ValueError for no JSON.
    """
    if len(content) > MOST_BYTES:
        message = (
            f"the endpoint's answer has more than {MOST_BYTES >> 20} MB; the rest was not read. "
            f"{EXPECTED}"
        )
        raise EndpointError(message)
    try:
        return _cleaned(json.loads(content), key)
    except RecursionError:
        message = f"the endpoint's answer is JSON that is nested too deeply to be read. {EXPECTED}"
        raise EndpointError(message) from None


def _cleaned(value: Any, key: str) -> Any:  # noqa: ANN401 - whatever the endpoint says
    """Return JSON without the key, also in names, unless the key is one of the protocol's words."""
    if isinstance(value, str):
        return without_key(value, key)
    if isinstance(value, list):
        return [_cleaned(one, key) for one in value]
    if isinstance(value, dict):
        return {
            name if name in WORDS else without_key(name, key): _cleaned(one, key)
            for name, one in value.items()
        }
    return value


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


def _named(refusal: str) -> set[str]:
    """Return the parameters that an endpoint refuses, such as one for reasoning models."""
    found = {"max_tokens"} if "max_completion_tokens" in refusal else set()
    return found | ({"temperature"} if "temperature" in refusal else set())


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
            f"the endpoint's answer is not a chat completion ({error!r}): {str(answer)[:SHOWN]}. "
            f"{EXPECTED}"
        )
        raise EndpointError(message) from error
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return Generation((whole,), (0,), (reason != "length",))


def _kind(content: object) -> str:
    return f"its content is of the type {type(content).__name__}, not a text"

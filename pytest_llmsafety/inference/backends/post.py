"""One POST of JSON with limits: the bytes that are read, the seconds in all, no redirection."""

from __future__ import annotations

import http.client
import io
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import EndpointError
from pytest_llmsafety.redaction import without_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_BYTES = 8 << 20
MOST_ERROR_BYTES = 64 << 10
WORDS = frozenset({
    "choices", "content", "finish_reason", "message", "reasoning", "reasoning_content"
})  # fmt: skip


class Stop:
    """Ends the requests that are under way when it is called, and keeps others from starting."""

    def __init__(self) -> None:
        """End nothing yet."""
        self.called = threading.Event()
        self.ends: set[Callable[[], None]] = set()

    def __call__(self) -> None:
        """End them."""
        self.called.set()
        for end in tuple(self.ends):
            end()


def post(
    request: urllib.request.Request,
    *,
    timeout_s: float,
    total_s: float,
    key: str = "",
    stop: Stop | None = None,
) -> Any:  # noqa: ANN401 - whatever the endpoint says
    """Send a request and return the JSON of its answer, in which `key` is replaced.

    Silence of `timeout_s` and an answer that takes longer than `total_s` in all are a TimeoutError;
    HTTPError holds the answer's text likewise. Raises EndpointError for more than MOST_BYTES, and
    ValueError for what is no JSON.
    """
    stop = stop or Stop()
    if total_s <= 0 or stop.called.is_set():
        raise _too_long(total_s)
    with _watched(total_s, stop) as (open_, is_late):
        try:
            with open_(request, timeout=min(timeout_s, total_s)) as answer:
                content = answer.read(MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            told = _rest(error)
            if is_late():
                raise _too_long(total_s) from None
            text = without_key(told.decode("utf-8", "replace"), key)
            body = io.BytesIO(text.encode())
            raise urllib.error.HTTPError(
                request.full_url, error.code, "", error.headers, body
            ) from None
        except (OSError, http.client.HTTPException):
            if is_late():
                raise _too_long(total_s) from None
            raise
    if is_late():
        raise _too_long(total_s)
    if len(content) > MOST_BYTES:
        message = (
            f"the endpoint's answer has more than {MOST_BYTES >> 20} MB; the rest was not read. "
            "Expected an address that speaks OpenAI's API, up to /v1."
        )
        raise EndpointError(message)
    try:
        return _cleaned(json.loads(content), key)
    except RecursionError:
        message = (
            "the endpoint's answer is JSON that is nested too deeply to be read. Expected an "
            "address that speaks OpenAI's API, up to /v1."
        )
        raise EndpointError(message) from None


def _cleaned(value: Any, key: str) -> Any:  # noqa: ANN401 - whatever the endpoint says
    """Return JSON without the key, in names, too, unless the key is one of the protocol's words."""
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


def _rest(error: urllib.error.HTTPError) -> bytes:
    """Return the beginning of what came with a status, whole or cut."""
    with suppress(OSError, http.client.HTTPException):
        return error.read(MOST_ERROR_BYTES)
    return b""


def _too_long(total_s: float) -> TimeoutError:
    return TimeoutError(f"no whole answer within {max(0.0, total_s):.3g} seconds")


@contextmanager
def _watched(total_s: float, stop: Stop) -> Iterator[tuple[Callable[..., Any], Callable[[], bool]]]:
    """Yield what opens a request, and what says whether its time was over.

    The time limit of a socket starts anew with every byte, so a thread ends the connection.
    """
    connections = _Connections()
    end = connections.end
    timer = threading.Timer(total_s, end)
    timer.daemon = True
    timer.start()
    stop.ends.add(end)
    if stop.called.is_set():
        end()
    started = time.monotonic()
    try:
        opener = urllib.request.build_opener(_StayHere, _Http(connections), _Https(connections))
        yield (
            opener.open,
            lambda: connections.over.is_set() or time.monotonic() - started >= total_s,
        )
    finally:
        timer.cancel()
        stop.ends.discard(end)


class _Connections:
    """The sockets of one request; after `end` none is of use, also one that is opened later."""

    def __init__(self) -> None:
        """Know none yet."""
        self.over = threading.Event()
        self._sockets: list[socket.socket] = []

    def add(self, one: socket.socket) -> None:
        """Take a socket that was just connected."""
        self._sockets.append(one)
        if self.over.is_set():
            self.end()

    def end(self) -> None:
        """End the connections, whatever waits for their bytes."""
        self.over.set()
        for one in tuple(self._sockets):
            with suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: the key is for the address that the user named."""

    def redirect_request(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - urllib's own signature
        """Make a redirection the error that it is reported as."""


class _Http(urllib.request.HTTPHandler):
    """Opens connections that can be ended from outside."""

    def __init__(self, connections: _Connections) -> None:
        """Tell `connections` of each."""
        super().__init__()
        self.connections = connections

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Open a connection."""
        return self.do_open(_keeping(http.client.HTTPConnection, self.connections), req)


class _Https(urllib.request.HTTPSHandler):
    """The same with TLS."""

    def __init__(self, connections: _Connections) -> None:
        """Tell `connections` of each."""
        super().__init__()
        self.connections = connections

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Open a connection."""
        return self.do_open(_keeping(http.client.HTTPSConnection, self.connections), req)


def _keeping(kind: Any, connections: _Connections) -> Any:  # noqa: ANN401 - a class of http.client
    """Return a class of connections that tells `connections` of each new socket."""

    class Keeping(kind):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            connections.add(self.sock)

    return Keeping

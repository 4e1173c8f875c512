"""A stand-in of an OpenAI-compatible endpoint on 127.0.0.1, with the faults that real ones have."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Stand(ThreadingHTTPServer):
    """Answers `reply(prompt)`; `faults` are used up first, one a request.

    A fault is a status with its headers and perhaps its body, `slow`, `cut` (the connection ends
    half-way), `drip` (a byte now and then, without an end), `flood` (a body without an end) or the
    text of a body. `asked` holds the bodies, `headers` what came with them.
    """

    daemon_threads = True

    def __init__(self, reply: Callable[[str], str], faults: list[Any]) -> None:
        """Listen on a free port of this machine only."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply = reply
        self.faults = faults
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.done = threading.Event()

    @property
    def url(self) -> str:
        """The address up to /v1."""
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    """Speaks chat completions."""

    server: Stand

    def do_POST(self) -> None:
        """Answer, or fail as the test wants."""
        stand = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        stand.asked.append(body)
        stand.headers.append(dict(self.headers))
        fault = stand.faults.pop(0) if stand.faults else None
        text = stand.reply(body["messages"][-1]["content"])
        choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        content = json.dumps({"choices": [choice]}).encode()
        if fault == "slow":
            stand.done.wait(5)
        if fault in ("drip", "flood"):
            self._endless(b" " if fault == "drip" else b" " * 65536)
        elif isinstance(fault, tuple):
            text = fault[2] if len(fault) > 2 else "busy"
            self._send(fault[0], text if isinstance(text, bytes) else text.encode(), fault[1])
        elif fault == "cut":
            self._send(200, content, {}, shown=len(content) // 2)
        else:
            self._send(200, content if fault in {None, "slow"} else fault.encode(), {})

    def log_message(self, *_: object) -> None:
        """Say nothing on the terminal."""

    def _endless(self, part: bytes) -> None:
        with suppress(ConnectionError):
            self.send_response(200)
            self.end_headers()
            while not self.server.done.wait(0.05 if len(part) == 1 else 0):
                self.wfile.write(part)
                self.wfile.flush()

    def _send(
        self, status: int, content: bytes, headers: dict[str, str], shown: int | None = None
    ) -> None:
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[:shown])
        except ConnectionError:
            pass  # whoever asked has hung up by now


@contextmanager
def standing(reply: Callable[[str], str], *faults: Any) -> Iterator[Stand]:
    """Run the stand-in while the block runs."""
    stand = Stand(reply, list(faults))
    thread = threading.Thread(target=stand.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield stand
    finally:
        stand.done.set()
        stand.shutdown()
        stand.server_close()
        thread.join()

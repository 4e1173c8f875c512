"""A stand-in of the Hugging Face hub on 127.0.0.1: the few addresses that `datasets` asks."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CODE = """
import sys
from pathlib import Path
from pytest_llmsafety.datasets import DATASETS
from pytest_llmsafety.datasets.base import DataSource
for name in sys.argv[2:]:
    dataset = DATASETS.load(name)()
    hub, folder = dataset.load(DataSource()), dataset.load(DataSource(Path(sys.argv[1])))
    print(name, len(hub), hub == folder)
"""


class Hub(ThreadingHTTPServer):
    """Serves `files`: (repository, revision, path) -> bytes; `asked` records the addresses.

    `faults` maps a repository to what goes wrong with its data: `gated`, `slow` (no answer for
    `pause_s` seconds), `cut` (the connection ends half-way through a file) or `changed` (one
    word of `swap` stands for the other, so that the length is the same).
    """

    pause_s = 2.0
    swap = b"who", b"how"

    def __init__(
        self,
        files: Mapping[tuple[str, str, str], bytes],
        faults: dict[str, str] | None = None,
    ) -> None:
        """Listen on a free port of this machine only."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.faults = faults or {}
        self.asked: list[str] = []

    @property
    def endpoint(self) -> str:
        """What HF_ENDPOINT has to be."""
        return f"http://127.0.0.1:{self.server_port}"

    def paths(self, repository: str, revision: str) -> dict[str, bytes]:
        """Files of one repository at one commit, and at no other."""
        return {p: c for (r, v, p), c in self.files.items() if (r, v) == (repository, revision)}


class Handler(BaseHTTPRequestHandler):
    """Answers revision, tree and file requests; anything else is not found."""

    server: Hub

    def do_GET(self) -> None:
        """Answer with a body."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Answer without a body."""
        self._answer(body=False)

    def do_POST(self) -> None:
        """Answer `paths-info`."""
        self._answer(body=True)

    def log_message(self, *_: object) -> None:
        """Say nothing on the terminal."""

    def _answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(path)
        content, commit = self._found(path)
        fault = next((f for name, f in self.server.faults.items() if name in path), "")
        of_data = "/resolve/" in path and not path.endswith(".md")
        if fault == "gated" and of_data:
            self._refuse(403, "GatedRepo")
            return
        if content is None:
            self._refuse(404, "EntryNotFound" if "/resolve/" in path else "RepoNotFound")
            return
        if fault == "slow" and of_data:
            time.sleep(self.server.pause_s)
        if fault == "changed" and of_data:
            content = content.replace(*self.server.swap)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", commit)
        self.end_headers()
        if body:
            half = fault == "cut" and of_data
            self.wfile.write(content[: len(content) // 2] if half else content)

    def _refuse(self, status: int, reason: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", reason)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _found(self, path: str) -> tuple[bytes | None, str]:
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "datasets"] and len(parts) > 5:
            repository, verb, commit = "/".join(parts[2:4]), parts[4], parts[5]
            return self._api(repository, verb, commit, "/".join(parts[6:])), commit
        if parts[0] == "datasets" and parts[3] == "resolve":
            files = self.server.paths("/".join(parts[1:3]), parts[4])
            return files.get("/".join(parts[5:])), parts[4]
        return None, ""

    def _api(self, repository: str, verb: str, commit: str, under: str) -> bytes | None:
        files = self.server.paths(repository, commit)
        if not files:
            return None
        if verb == "paths-info":
            wanted = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            return json.dumps([e for e in _entries(files) if str(e["path"]) in wanted]).encode()
        if verb == "tree":
            inside = [e for e in _entries(files) if str(e["path"]).rpartition("/")[0] == under]
            return json.dumps(inside).encode()
        if verb == "revision":
            siblings = [{"rfilename": p} for p in files]
            return json.dumps({"id": repository, "sha": commit, "siblings": siblings}).encode()
        return None


def _entries(files: Mapping[str, bytes]) -> list[dict[str, object]]:
    """Files and folders as the hub lists them."""
    folders = {path.rpartition("/")[0] for path in files} - {""}
    listed: list[dict[str, object]] = [
        {"type": "directory", "path": folder, "oid": "0" * 40} for folder in sorted(folders)
    ]
    for path, content in files.items():
        oid = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        listed.append({"type": "file", "path": path, "size": len(content), "oid": oid})
    return listed


@contextmanager
def serving(
    files: Mapping[tuple[str, str, str], bytes], faults: dict[str, str] | None = None
) -> Iterator[Hub]:
    """Run a hub in a thread while the block lasts."""
    hub = Hub(files, faults)
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()


def jsonl(*rows: dict[str, Any]) -> bytes:
    """Rows as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet(rows: list[dict[str, Any]], compression: str = "snappy") -> bytes:
    """Rows as a parquet file."""
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    buffer = io.BytesIO()
    pyarrow.parquet.write_table(arrow.Table.from_pylist(rows), buffer, compression=compression)
    return buffer.getvalue()


def card(config: str, *splits: str) -> bytes:
    """A README that says where a table's files are, as the hub's own do."""
    places = "\n  ".join(f"- split: {split}\n    path: {config}/{split}-*" for split in splits)
    return f"---\nconfigs:\n- config_name: {config}\n  data_files:\n  {places}\n---\n".encode()

"""A baseline: a dense model's answers and the verdicts of a run, in one file anywhere.

The file is gzip-compressed JSON lines: a header with the schema and the SHA-256 of all that
follows, then the identity of the dense model, then verdicts, then entries by key. Equal
contents give equal bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.codec import from_plain, to_plain
from pytest_llmsafety.errors import BaselineError
from pytest_llmsafety.json_files import parse_json
from pytest_llmsafety.models.identity import Identity
from pytest_llmsafety.paths import require_writable, user_path, write_whole
from pytest_llmsafety.redaction import without_access

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = "pytest-llmsafety baseline"
SCHEMA = 2
UPDATE = "--llmsafety-update-baseline"
UNREADABLE = (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError)
PIN = "#sha256="
SHA256 = re.compile(r"[0-9a-f]{64}")
LONGEST_HEADER = 1000
SHOWN = 16  # hex digits of a digest in messages


@dataclass(frozen=True)
class Row:
    """One verdict of the run that wrote a baseline; a figure is None where there is none.

    `lower` and `upper` bound the worsening; with `change` they are in nats where `is_ratio`.
    `n_items` is the number of items that could have been asked, `data_digest` identifies the data
    set, and `test` names the test without its file. An older file lacks these three and `scorer`.
    """

    name: str
    compression: str
    dataset: str
    outcome: str
    margin: float | None = None
    dense: float | None = None
    compressed: float | None = None
    change: float | None = None
    lower: float | None = None
    upper: float | None = None
    is_ratio: bool = False
    data_digest: str = ""
    scorer: str = ""
    n_items: int = 0
    test: str = ""


@dataclass(frozen=True)
class Baseline:
    """The contents of a baseline file.

    `model` is the model's name as given, `identity` identifies its dense arm. `entries` are texts
    by key: answers, token ids, and facts about the weights. `seed` is that of the run, None in
    files of older versions.
    """

    model: str
    identity: Identity
    rows: tuple[Row, ...] = ()
    entries: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the contents, in hex."""
        return hashlib.sha256(_body(self)).hexdigest()


def encode(baseline: Baseline) -> bytes:
    """Return the bytes of the file, the same for equal contents."""
    header = {"format": FORMAT, "schema": SCHEMA, "sha256": baseline.digest}
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as file:
        file.write(_line(header) + _body(baseline))
    return buffer.getvalue()


def decode(data: bytes, where: str) -> Baseline:
    """Return the baseline that `encode` wrote; BaselineError for anything else."""
    try:
        first, _, body = gzip.decompress(data).partition(b"\n")
        header = parse_json(first)
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise _unreadable(where, "it does not begin as a baseline does")
        if header["schema"] != SCHEMA:
            raise _unreadable(
                where, f"it is of schema {header['schema']}, and this version reads {SCHEMA}"
            )
        if hashlib.sha256(body).hexdigest() != header["sha256"]:
            raise _unreadable(where, "its contents are not those that were written")
        return _baseline([parse_json(line) for line in body.splitlines()])
    except UNREADABLE as error:
        raise _unreadable(where, f"{type(error).__name__}: {error}") from error


def pinned(url: str) -> tuple[str, str]:
    """Return the place of a baseline, and the digest that `#sha256=` pins it to, else empty.

    Raises BaselineError for a pin that is not a digest.
    """
    place, mark, digest = url.rpartition(PIN)
    if not mark:
        return url, ""
    digest = digest.lower()
    if not place or not SHA256.fullmatch(digest):
        message = (
            f"--llmsafety-baseline: the pin of '{without_access(url)}' is not a digest. Expected "
            f"FILE{PIN}DIGEST with the 64 hex digits that a run with the baseline prints."
        )
        raise BaselineError(message)
    return place, digest


def read(url: str) -> Baseline:
    """Read a baseline from a path or any URL of fsspec, and compare it with its pin.

    Raises BaselineError.
    """
    import fsspec

    place, pin = pinned(url)
    shown = without_access(place)
    try:
        with fsspec.open(_address(place), "rb") as file:
            data: bytes = file.read()
    except FileNotFoundError as error:
        message = (
            f"--llmsafety-baseline: there is no '{shown}'. Write it where the dense model is at "
            f"hand: the same command with {UPDATE}."
        )
        raise BaselineError(message) from error
    except Exception as error:
        message = (
            f"--llmsafety-baseline: cannot read '{shown}': {type(error).__name__}: "
            f"{without_access(str(error))}. Expected a path or a URL of fsspec whose protocol's "
            "package is installed."
        )
        raise BaselineError(message) from error
    baseline = decode(data, shown)
    if pin not in ("", baseline.digest):
        message = (
            f"--llmsafety-baseline: '{shown}' has the digest {baseline.digest}, and this run is "
            f"pinned to {pin}. Expected the pinned contents: fetch them again, or pin the new "
            "digest if the change was meant."
        )
        raise BaselineError(message)
    return baseline


def named(url: str) -> str:
    """Return the place of a baseline with its digest, in the form of a pin.

    The digest is the one that the file states; nothing is compared. Where nothing can be read, the
    place alone is returned.
    """
    import fsspec

    with suppress(Exception):
        place, _ = pinned(url)
        with fsspec.open(_address(place), "rb") as file, gzip.GzipFile(fileobj=file) as lines:
            digest = json.loads(lines.readline(LONGEST_HEADER))["sha256"]
            if SHA256.fullmatch(digest):
                return f"{without_access(place)}{PIN}{digest}"
    return without_access(url)


def check_target(url: str) -> None:
    """Raise BaselineError where no baseline could be written, or another file would be lost."""
    import fsspec

    place, _ = pinned(url)
    try:
        fs, path = fsspec.core.url_to_fs(_address(place))
        is_folder, is_there = fs.isdir(path), fs.exists(path)
        if "file" in fs.protocol and not is_folder:
            require_writable(Path(path).parent)
    except Exception as error:
        raise _unwritable(place, error) from error
    if is_folder:
        message = (
            f"--llmsafety-baseline: '{without_access(place)}' is a folder. Expected a file, such "
            "as b.json.gz."
        )
        raise BaselineError(message)
    if is_there:
        try:
            read(place)
        except BaselineError as error:
            message = f"{error} It is not replaced: delete it, or name another file."
            raise BaselineError(message) from error


def write(url: str, baseline: Baseline) -> None:
    """Write a baseline, whole or not at all where the file system can. Raises BaselineError.

    A pin in `url` belongs to the old contents, and is not compared.
    """
    import fsspec

    place, _ = pinned(url)
    try:
        fs, path = fsspec.core.url_to_fs(_address(place))
        if "file" in fs.protocol:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            write_whole(Path(path), encode(baseline))
            return
        target = fsspec.open(_address(place), "wb")
        with target.fs.transaction, target as file:
            file.write(encode(baseline))
    except Exception as error:
        raise _unwritable(place, error) from error


def _address(url: str) -> str:
    """Return a URL as it is, and a path as absolute, from the folder that the run started in."""
    return url if "://" in url or "::" in url else str(user_path(url))


def _body(baseline: Baseline) -> bytes:
    about = {
        "model": baseline.model,
        "identity": to_plain(baseline.identity),
        "seed": baseline.seed,
    }
    lines: list[dict[str, Any]] = [{"about": about}]
    lines += [{"verdict": to_plain(row)} for row in baseline.rows]
    lines += [{"key": key, "text": text} for key, text in sorted(baseline.entries.items())]
    return b"".join(map(_line, lines))


def _line(value: dict[str, Any]) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii") + b"\n"


def _baseline(lines: list[dict[str, Any]]) -> Baseline:
    (about,) = (line["about"] for line in lines if "about" in line)
    rows = tuple(from_plain(Row, line["verdict"]) for line in lines if "verdict" in line)
    entries = {
        from_plain(str, line["key"]): from_plain(str, line["text"])
        for line in lines
        if "key" in line
    }
    return Baseline(
        from_plain(str, about["model"]),
        from_plain(Identity, about["identity"]),
        rows,
        entries,
        from_plain(int | None, about.get("seed")),
    )


def _unwritable(place: str, error: Exception) -> BaselineError:
    return BaselineError(
        f"--llmsafety-baseline: cannot write '{without_access(place)}': {type(error).__name__}: "
        f"{without_access(str(error))}. Expected a path or a URL of fsspec that can be written to, "
        "with free space. A file that was there is as it was."
    )


def _unreadable(where: str, why: str) -> BaselineError:
    return BaselineError(
        f"--llmsafety-baseline: cannot use '{where}': {why}. Expected a file as {UPDATE} "
        "writes it; fetch it again, or write it again where the dense model is at hand."
    )

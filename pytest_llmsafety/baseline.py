"""A baseline: what a dense model answered and what was concluded, in one file anywhere.

The file is gzip-compressed JSON lines: a header with the schema and the SHA-256 of all that
follows, then what identifies the dense model, then verdicts, then entries by key. The same
contents give the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.errors import BaselineError
from pytest_llmsafety.fingerprint import Identity, Platform
from pytest_llmsafety.paths import require_writable

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = "pytest-llmsafety baseline"
SCHEMA = 1
UPDATE = "--llmsafety-update-baseline"
SHOWN = 16  # hex digits of a digest in messages


@dataclass(frozen=True)
class Row:
    """One verdict of the run that wrote a baseline; figures as in a verdict, None where none.

    `lower` and `upper` are bounds of the worsening, as the verdict's decision has them, and with
    `change` in nats where `is_ratio`. `n_items` could have been asked, `data_digest` is that of
    the data set; `test` names the test, without its file. An older file has none of the four.
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
    """`model` is its name as asked for, `identity` what identifies its dense arm.

    `entries` are texts by key: answers, token ids, and what is remembered of the weights. `seed`
    is that of the run, None in files of older versions.
    """

    model: str
    identity: Identity
    rows: tuple[Row, ...] = ()
    entries: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None

    @property
    def digest(self) -> str:
        """The SHA-256 of the contents, in hex."""
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
        header = json.loads(first)
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise _unreadable(where, "it does not begin as a baseline does")
        if header["schema"] != SCHEMA:
            raise _unreadable(
                where, f"it is of schema {header['schema']}, and this version reads {SCHEMA}"
            )
        if hashlib.sha256(body).hexdigest() != header["sha256"]:
            raise _unreadable(where, "its contents are not those that were written")
        return _baseline([json.loads(line) for line in body.splitlines()])
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise _unreadable(where, f"{type(error).__name__}: {error}") from error


def read(url: str) -> Baseline:
    """Read a baseline from a path or any URL of fsspec. Raises BaselineError."""
    import fsspec

    try:
        with fsspec.open(url, "rb") as file:
            data: bytes = file.read()
    except FileNotFoundError as error:
        message = (
            f"--llmsafety-baseline: there is no '{url}'. Write it where the dense model is at "
            f"hand: the same command with {UPDATE}."
        )
        raise BaselineError(message) from error
    except Exception as error:
        message = (
            f"--llmsafety-baseline: cannot read '{url}': {type(error).__name__}: {error}. Expected "
            "a path or a URL of fsspec whose protocol's package is installed."
        )
        raise BaselineError(message) from error
    return decode(data, url)


def check_target(url: str) -> None:
    """Raise BaselineError where no baseline could be written, or another file would be lost."""
    import fsspec

    try:
        fs, path = fsspec.core.url_to_fs(url)
        is_folder, is_there = fs.isdir(path), fs.exists(path)
        if "file" in fs.protocol and not is_folder:
            require_writable(Path(path).parent)
    except Exception as error:
        raise _unwritable(url, error) from error
    if is_folder:
        message = f"--llmsafety-baseline: '{url}' is a folder. Expected a file, such as b.json.gz."
        raise BaselineError(message)
    if is_there:
        try:
            read(url)
        except BaselineError as error:
            message = f"{error} It is not replaced: delete it, or name another file."
            raise BaselineError(message) from error


def write(url: str, baseline: Baseline) -> None:
    """Write a baseline, whole or not at all where the file system can. Raises BaselineError."""
    import fsspec

    try:
        target = fsspec.open(url, "wb")
        with target.fs.transaction, target as file:
            file.write(encode(baseline))
    except Exception as error:
        raise _unwritable(url, error) from error


def _body(baseline: Baseline) -> bytes:
    """Everything below the header."""
    about = {"model": baseline.model, "identity": asdict(baseline.identity), "seed": baseline.seed}
    lines: list[dict[str, Any]] = [{"about": about}]
    lines += [{"verdict": asdict(row)} for row in baseline.rows]
    lines += [{"key": key, "text": text} for key, text in sorted(baseline.entries.items())]
    return b"".join(map(_line, lines))


def _line(value: dict[str, Any]) -> bytes:
    """One line of canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii") + b"\n"


def _baseline(lines: list[dict[str, Any]]) -> Baseline:
    """Build a baseline from its lines."""
    (about,) = (line["about"] for line in lines if "about" in line)
    rows = tuple(Row(**line["verdict"]) for line in lines if "verdict" in line)
    entries = {line["key"]: line["text"] for line in lines if "key" in line}
    identity = _identity(about["identity"])
    return Baseline(about["model"], identity, rows, entries, about.get("seed"))


def _identity(fields: dict[str, Any]) -> Identity:
    """Build an identity from its JSON object."""
    rows = {name: tuple(map(tuple, fields[name])) for name in ("recipe", "versions")}
    return Identity(**{**fields, **rows, "platform": Platform(**fields["platform"])})


def _unwritable(url: str, error: Exception) -> BaselineError:
    """The error for a place that takes no file."""
    return BaselineError(
        f"--llmsafety-baseline: cannot write '{url}': {type(error).__name__}: {error}. Expected a "
        "path or a URL of fsspec that can be written to."
    )


def _unreadable(where: str, why: str) -> BaselineError:
    """The error for a file that is no whole baseline of this schema."""
    return BaselineError(
        f"--llmsafety-baseline: cannot use '{where}': {why}. Expected a file as {UPDATE} "
        "writes it; fetch it again, or write it again where the dense model is at hand."
    )

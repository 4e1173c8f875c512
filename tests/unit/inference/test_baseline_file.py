"""The file of a baseline: the same bytes for the same contents, and any other file is refused."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import stat
import uuid
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmsafety.errors import BaselineError
from pytest_llmsafety.inference.baseline_file import (
    Baseline,
    Row,
    check_target,
    decode,
    encode,
    read,
    write,
)
from pytest_llmsafety.models.identity import Identity, Platform

IDENTITY = Identity("files", (), 0, "", Platform("hf", "float32", "cpu"), (("torch", "2"),))
ROW = Row("toxicity", "int4", "core-toxicity", "PASS", 0.02, 0.1, 0.11, 0.01, -0.01, 0.02)
WHOLE = Baseline("org/model", IDENTITY, (ROW,), {"b": '{"x": 1}', "a": "[1]"})

FIGURES = st.none() | st.floats(allow_nan=False, allow_infinity=False)
ROWS = st.builds(
    Row, st.text(), st.text(), st.text(), st.sampled_from(["PASS", "FAIL"]), FIGURES, FIGURES
)
BASELINES = st.builds(
    Baseline,
    st.text(),
    st.just(replace(IDENTITY, recipe=(("dense again", ""),))),
    st.lists(ROWS, max_size=3).map(tuple),
    st.dictionaries(st.text(), st.text(), max_size=5),
)


@settings(deadline=None)
@given(BASELINES)
def test_what_is_written_is_read(baseline):
    """Any baseline comes back equal, with the same digest."""
    again = decode(encode(baseline), "here")
    assert again == baseline
    assert again.digest == baseline.digest


def test_equal_contents_are_equal_bytes():
    """Neither the order of the entries nor the time of writing is in the file."""
    other = replace(WHOLE, entries=dict(reversed(WHOLE.entries.items())))
    assert encode(other) == encode(WHOLE)
    assert encode(WHOLE)[4:8] == bytes(4)  # the time in the header of gzip


def test_other_contents_have_another_digest():
    """Model, identity, verdicts and entries are all part of it."""
    others = [
        replace(WHOLE, model="org/other"),
        replace(WHOLE, identity=replace(IDENTITY, model="other")),
        replace(WHOLE, rows=()),
        replace(WHOLE, entries={**WHOLE.entries, "a": "[2]"}),
    ]
    assert len({baseline.digest for baseline in (WHOLE, *others)}) == 5


def changed(edit):
    """The file of WHOLE with its lines edited, compressed again."""
    lines = gzip.decompress(encode(WHOLE)).decode().splitlines()
    return gzip.compress("".join(line + "\n" for line in edit(lines)).encode())


def test_rows_of_an_older_file_are_read():
    """A file of schema 1 without tests, digests, scorers and numbers of items is whole."""
    new = {"data_digest", "n_items", "scorer", "test"}

    def older(lines):
        body = []
        for line in map(json.loads, lines[1:]):
            row = line.get("verdict", {})
            body.append({**line, "verdict": {k: row[k] for k in row.keys() - new}} if row else line)
        texts = [json.dumps(line, sort_keys=True, separators=(",", ":")) for line in body]
        digest = hashlib.sha256("".join(text + "\n" for text in texts).encode()).hexdigest()
        return [json.dumps({**json.loads(lines[0]), "sha256": digest}), *texts]

    full = replace(ROW, test="a", data_digest="0a", scorer="vader", n_items=9)
    again = decode(encode(replace(WHOLE, rows=(full,))), "here")
    assert again.rows == (full,)
    assert decode(changed(older), "here").rows == (ROW,)


def header(**fields):
    """An edit that changes the header."""
    return lambda lines: [json.dumps({**json.loads(lines[0]), **fields}), *lines[1:]]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "JSONDecodeError"),
        (b"no gzip", "BadGzipFile"),
        (encode(WHOLE)[:-9], "EOFError"),
        (encode(WHOLE)[:40] + b"\x00" + encode(WHOLE)[41:], "error"),
        (gzip.compress(b"[]\n"), "does not begin as a baseline does"),
        (changed(header(format="other")), "does not begin as a baseline does"),
        (changed(header(schema=1)), "it is of schema 1, and this version reads 2"),
        (changed(lambda lines: lines[:-1]), "not those that were written"),
        (changed(lambda lines: [lines[0].replace("sha", "xyz"), *lines[1:]]), "KeyError"),
    ],
    ids=["empty", "no gzip", "cut", "bit", "json", "format", "schema", "line", "header"],
)
def test_no_other_file_is_taken(data, why):
    """A file that is cut, damaged, newer or something else is refused with the reason."""
    with pytest.raises(BaselineError, match=r"cannot use 'here'.*update-baseline") as caught:
        decode(data, "here")
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(WHOLE, rows=(replace(ROW, margin="0.1"),)),
        replace(WHOLE, rows=(replace(ROW, name=None),)),
        replace(WHOLE, rows=(replace(ROW, n_items="many"),)),
        replace(WHOLE, entries={"a": 1}),
        replace(WHOLE, model=["org/model"]),
    ],
)
def test_a_field_of_another_type_is_refused(wrong):
    """A file that somebody made by hand, with a digest that fits, is not believed either."""
    with pytest.raises(BaselineError, match="is of the type"):
        decode(encode(wrong), "here")


def test_a_url_of_fsspec_will_do():
    """The memory file system of fsspec holds a baseline like any other."""
    url = f"memory://{uuid.uuid4()}/releases/baseline.json.gz"
    write(url, WHOLE)
    assert read(url) == WHOLE


def test_a_folder_is_made_and_nothing_else_is_left(tmp_path):
    """A path is written whole, in folders that need not exist."""
    path = tmp_path / "a" / "b.json.gz"
    write(str(path), WHOLE)
    assert path.read_bytes() == encode(WHOLE)
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    """The old baseline is whole where the new one could not be made."""
    path = tmp_path / "b.json.gz"
    write(str(path), WHOLE)
    monkeypatch.setattr("pytest_llmsafety.inference.baseline_file.encode", lambda _: 1 / 0)
    with pytest.raises(BaselineError, match=r"cannot write '.*ZeroDivisionError"):
        write(str(path), replace(WHOLE, rows=()))
    assert list(tmp_path.iterdir()) == [path]
    assert read(str(path)) == WHOLE


def test_permissions_and_links_stay(tmp_path):
    """The file behind a link is replaced, with the mode that it had."""
    real, link = tmp_path / "shared" / "b.json.gz", tmp_path / "b.json.gz"
    write(str(real), replace(WHOLE, rows=()))
    real.chmod(0o640)
    link.symlink_to(real)
    write(str(link), WHOLE)
    assert link.is_symlink()
    assert read(str(real)) == WHOLE
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


@pytest.mark.parametrize("scheme", ["", "file://", "local://"])
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, scheme):
    """What was written next to the old file is gone, and the error says why."""
    path = tmp_path / "b.json.gz"
    write(f"{scheme}{path}", WHOLE)

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BaselineError, match=r"No space left on device.*is as it was"):
        write(f"{scheme}{path}", replace(WHOLE, rows=()))
    assert list(tmp_path.iterdir()) == [path]
    assert read(str(path)) == WHOLE


def test_a_pin_is_compared(tmp_path):
    """`#sha256=` takes the contents of this digest and no others, and only a whole digest."""
    path = str(tmp_path / "b.json.gz")
    write(path, WHOLE)
    assert read(f"{path}#sha256={WHOLE.digest}") == WHOLE
    assert read(f"{path}#sha256={WHOLE.digest.upper()}") == WHOLE
    with pytest.raises(BaselineError, match=f"has the digest {WHOLE.digest}.*pinned to {'0' * 64}"):
        read(f"{path}#sha256={'0' * 64}")
    with pytest.raises(BaselineError, match="Expected FILE#sha256=DIGEST with the 64 hex digits"):
        read(f"{path}#sha256={WHOLE.digest[:16]}")
    write(f"{path}#sha256={WHOLE.digest}", replace(WHOLE, rows=()))
    assert read(path).rows == ()


def test_the_secrets_of_an_address_are_not_shown():
    """Errors name the place without user, password and query."""
    with pytest.raises(BaselineError, match=r"\*\*\*@.*\?\*\*\*") as caught:
        read("nosuch://me:hunter22@host/b.json.gz?sig=hunter22")
    assert "hunter22" not in str(caught.value)


def test_a_target_is_tried_before_anything_is_asked(tmp_path):
    """A new file and a baseline may be written; a folder or another file is not lost."""
    check_target(str(tmp_path / "new" / "b.json.gz"))
    assert not any((tmp_path / "new").iterdir())
    check_target(f"memory://{uuid.uuid4()}/b.json.gz")
    write(str(tmp_path / "b.json.gz"), WHOLE)
    check_target(str(tmp_path / "b.json.gz"))
    notes = tmp_path / "notes.txt"
    notes.write_text("mine", "utf-8")
    for place, why in (
        (tmp_path, "is a folder. Expected a file"),
        (notes, "It is not replaced: delete it, or name another file"),
        ("/proc/b.json.gz", "cannot write"),
        (notes / "b.json.gz", "cannot write"),
    ):
        with pytest.raises(BaselineError, match=why):
            check_target(str(place))
    assert notes.read_text("utf-8") == "mine"


@pytest.mark.parametrize(
    ("url", "why"),
    [("absent.json.gz", "there is no"), ("nosuch://x", "cannot read 'nosuch://x'")],
)
def test_what_cannot_be_read_is_named(url, why, tmp_path, monkeypatch):
    """A missing file and an unknown protocol are errors that name the address."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BaselineError, match=why):
        read(url)

"""The cache: what was stored is there, and a damaged entry never counts as absent."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmsafety.errors import CacheError
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.inference.cached_loop import complete
from pytest_llmsafety.progress import Progress

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@settings(deadline=None)
@given(st.dictionaries(TEXT, TEXT, max_size=20), st.lists(TEXT, max_size=5))
def test_what_was_stored_comes_back(values, absent):
    """get_many returns exactly the stored ones of the keys asked for."""
    cache = Cache(None)
    cache.put_many(values)
    asked = [*values, *absent]
    assert cache.get_many(asked) == {key: values[key] for key in asked if key in values}
    assert len(cache) == len(values)
    cache.close()


def test_a_file_outlives_its_process(tmp_path):
    """A second Cache on the same path sees what the first stored."""
    first = Cache(tmp_path / "deep" / "er" / "cache.db")
    first.put_many({"a": "1"})
    first.close()
    assert Cache(tmp_path / "deep" / "er" / "cache.db").get_many(["a", "b"]) == {"a": "1"}


def test_more_keys_than_one_query_takes():
    """Thousands of keys are fetched at once."""
    cache = Cache(None)
    cache.put_many({str(number): str(-number) for number in range(2345)})
    assert len(cache.get_many(map(str, range(5000)))) == 2345


def test_a_damaged_entry_is_an_error_that_names_it(tmp_path):
    """A changed value, or one stored under another key, raises and can be dropped."""
    path = tmp_path / "cache.db"
    cache = Cache(path)
    cache.put_many({"good": "1", "bad": "2"})
    raw = sqlite3.connect(path)
    raw.execute("UPDATE entry SET value = '3' WHERE key = 'bad'")
    raw.commit()
    raw.close()
    assert cache.get_many(["good"]) == {"good": "1"}
    with pytest.raises(CacheError, match=r"entry 'bad' is damaged.*drop\('bad'\)"):
        cache.get_many(["good", "bad"])
    cache.drop("bad")
    assert cache.get_many(["good", "bad"]) == {"good": "1"}


def test_a_file_that_is_no_cache_is_an_error_that_names_it(tmp_path):
    """Some other file is neither used nor overwritten."""
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes, and they are longer than a header" * 9)
    with pytest.raises(CacheError, match=r"notes\.txt.*Delete it"):
        Cache(path)
    assert path.read_text().startswith("these are my notes")


def test_a_torn_file_is_an_error_not_a_miss(tmp_path):
    """Overwritten pages are found out."""
    path = tmp_path / "cache.db"
    cache = Cache(path)
    cache.put_many({f"key {number}": "value" * 50 for number in range(500)})
    cache.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\x17" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(CacheError):
        Cache(path).get_many([f"key {number}" for number in range(500)])


def test_another_layout_is_refused(tmp_path):
    """A file written by a later version is not misread."""
    path = tmp_path / "cache.db"
    Cache(path).close()
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA user_version = 99")
    raw.close()
    with pytest.raises(CacheError, match="layout 99"):
        Cache(path)


def test_an_unusable_path_is_a_named_error(tmp_path):
    """A folder in place of the file says what was expected."""
    with pytest.raises(CacheError, match="Expected a writable file"):
        Cache(tmp_path)


def test_a_failed_batch_leaves_nothing_behind(tmp_path):
    """put_many stores all of a batch or none of it."""
    cache = Cache(tmp_path / "cache.db")
    with pytest.raises(CacheError):
        cache.put_many({"a": "1", "b": None})
    assert cache.get_many(["a"]) == {}
    cache.put_many({"a": "1"})
    assert cache.get_many(["a"]) == {"a": "1"}


WRITER = """
import sys
from pytest_llmsafety.inference.cache import Cache
cache = Cache(sys.argv[1])
for batch in range(20):
    cache.put_many({f"{batch}-{n}": f"{batch * n}" for n in range(10)})
    cache.put_many({f"{sys.argv[2]}-{batch}-{n}": sys.argv[2] for n in range(10)})
    assert len(cache.get_many([f"{batch}-{n}" for n in range(10)])) == 10
"""


def start(script, *arguments):
    """Start a Python process that runs `script`."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command)  # noqa: S603 - our own script


def test_many_processes_share_one_new_file(tmp_path):
    """Four processes open, write and read a new file at once, and nothing is lost."""
    path = tmp_path / "cache.db"
    writers = [start(WRITER, path, name) for name in "abcd"]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    assert len(Cache(path)) == 20 * 10 * 5


def test_a_killed_writer_leaves_whole_batches(tmp_path):
    """After kill -9 at any moment, each batch is there as a whole or not at all."""
    path = tmp_path / "cache.db"
    script = """
import itertools, sys
from pytest_llmsafety.inference.cache import Cache
cache = Cache(sys.argv[1])
for batch in itertools.count():
    cache.put_many({f"{batch}-{n}": "x" * 2000 for n in range(8)})
"""
    writer = start(script, path)
    deadline = time.monotonic() + 30
    while not path.exists() or len(Cache(path)) < 100:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait(10)
    cache = Cache(path)
    assert len(cache) >= 100
    assert len(cache) % 8 == 0


HOLDER = """
import sys, time
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.inference.cached_loop import complete
from pytest_llmsafety.progress import Progress

cache = Cache(sys.argv[1])

def compute(questions):
    print("computing", flush=True)
    time.sleep(float(sys.argv[2]))
    yield [(index, question + 0.5) for index, question in enumerate(questions)]

complete(cache, {"a": 1, "b": 2}, compute, Progress(), "")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there: work is done twice")
@pytest.mark.parametrize("killed", [False, True])
def test_processes_take_turns_at_the_same_question(tmp_path, *, killed):
    """Who comes second waits, reads what is stored, and computes the rest; a dead one is no bar."""
    path = tmp_path / "cache.db"
    command = [sys.executable, "-c", HOLDER, str(path), "60" if killed else "0.5"]
    asked, computed = {"a": 1, "b": 2, "c": 3}, []

    def compute(questions):
        computed.append(questions)
        yield [(index, 0.0) for index in range(len(questions))]

    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:  # noqa: S603 - our own
        assert other.stdout.readline() == b"computing\n"
        if killed:
            other.kill()
        found = complete(Cache(path), asked, compute, Progress(), "")
    if killed:
        assert computed == [[1, 2, 3]]
        assert set(found.values()) == {0.0}
    else:
        assert computed == [[3]]
        assert found == {"a": 1.5, "b": 2.5, "c": 0.0}

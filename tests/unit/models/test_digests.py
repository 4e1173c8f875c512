"""Digests of files: the bytes decide, and unchanged files are read once."""

from __future__ import annotations

import os
import time

import pytest

from pytest_llmsafety.errors import ModelError
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.models import digests
from pytest_llmsafety.models.digests import (
    FileDigests,
    FileState,
    file_digest,
    keeps_change_times,
)


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A file with an old time of modification, on a local disk."""
    monkeypatch.setattr(digests, "_mounts", lambda: [("/", "ext4")])
    path = tmp_path / "weights"
    path.write_text("one")
    os.utime(path, ns=(1, 1))
    return path


def test_unchanged_files_are_read_once(path, monkeypatch):
    """With a cache, a second run reads nothing of what it finds as it was."""
    memo = Cache(None)
    first = FileDigests(memo).of(path)
    monkeypatch.setattr(digests, "_read", lambda *_: pytest.fail("read again"))
    assert FileDigests(memo).of(path) == first


@pytest.mark.parametrize("how", ["in place", "another file"])
def test_bytes_changed_with_size_and_time_kept_are_noticed(path, how):
    """What tar, cp -p, rsync --times and editors keep does not hide a change."""
    memo = Cache(None)
    digests = FileDigests(memo)
    before = digests.of(path)
    if how == "another file":
        path.unlink()
    path.write_text("two")
    os.utime(path, ns=(1, 1))
    assert FileState.of(path).mtime_ns == 1
    assert digests.changed() == [path]
    assert FileDigests(memo).of(path) == file_digest(path) != before
    assert digests.of(path) != before


def test_a_file_that_was_only_touched_has_not_changed(path):
    """A new link, mode or time is looked into and forgiven; a file that is gone is not."""
    digests = FileDigests(Cache(None))
    digests.of(path)
    path.chmod(0o600)
    path.with_name("link").hardlink_to(path)
    assert digests.changed() == []
    path.unlink()
    assert digests.changed() == [path]


def test_a_change_within_a_tick_of_the_clock_is_noticed(path, monkeypatch):
    """A file whose last change is as young as the clock's tick is not remembered."""
    memo = Cache(None)
    monkeypatch.setattr(time, "time_ns", lambda: FileState.of(path).ctime_ns)
    FileDigests(memo).of(path)
    assert len(memo) == 0


def test_nothing_is_remembered_where_a_file_system_keeps_no_time_of_change(path, monkeypatch):
    """On a network disk every run reads the file again."""
    monkeypatch.setattr(digests, "_mounts", lambda: [("/", "cifs")])
    memo = Cache(None)
    FileDigests(memo).of(path)
    assert len(memo) == 0


def test_file_systems_are_told_apart_by_the_deepest_mount(tmp_path, monkeypatch):
    """A network disk below a local one is a network disk; names may hold blanks."""
    table = tmp_path / "mountinfo"
    table.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda rw\n"
        "2 1 0:9 / /mnt/my\\040disk rw shared:1 - nfs4 host:/ rw\n"
    )
    monkeypatch.setattr(digests, "MOUNTS", table)
    digests._mounts.cache_clear()
    assert keeps_change_times(tmp_path)
    assert not keeps_change_times(digests.Path("/mnt/my disk/model"))
    digests._mounts.cache_clear()


def test_a_file_that_never_rests_is_an_error(path, monkeypatch):
    """What is written to while it is read has no digest."""
    ticks = iter(range(99))
    monkeypatch.setattr(FileState, "of", lambda _: FileState(3, 1, next(ticks), 1))
    with pytest.raises(ModelError, match="changed each of the 3 times"):
        file_digest(path)

"""Free memory is at most what the container allows, in both versions of control groups."""

from __future__ import annotations

import pytest

from pytest_llmsafety.models import free_memory
from pytest_llmsafety.session.doctor import machine

GB = 10**9


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A function that writes the files by which Linux tells limits."""
    monkeypatch.setattr(free_memory, "CONTROL_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(free_memory, "OF_PROCESS", tmp_path / "of-process")
    monkeypatch.setattr(free_memory, "MEMORY", tmp_path / "meminfo")
    (tmp_path / "meminfo").write_text("MemAvailable: 20000000 kB\nSwapFree: 1000 kB\n")

    def write(process, files):
        (tmp_path / "of-process").write_text(process)
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(text))

    return write


def test_without_a_container_the_machine_counts(system):
    """No limit, or one that version 1 writes for none, leaves what Linux says is available."""
    system("", {})
    assert free_memory.container() is None
    assert free_memory.free_bytes("cpu") == 20_000_000 * 1024
    assert free_memory.swap_bytes() == 1000 * 1024
    system("0::/a\n", {"a/memory.max": "max\n", "a/memory.current": 5})
    assert free_memory.container() is None
    limit = "memory/a/memory.limit_in_bytes"
    system("4:memory:/a\n", {limit: 2**63 - 4096, "memory/a/memory.usage_in_bytes": 5})
    assert free_memory.container() is None


def test_version_2_without_the_files_in_memory(system):
    """Files that were read are dropped when memory is needed, so they count as free."""
    stat = f"anon 7\ninactive_file {GB}\nactive_file {GB}\n"
    files = {"memory.max": 8 * GB, "memory.current": 5 * GB, "memory.stat": stat}
    system("0::/\n", files)
    assert free_memory.container() == free_memory.Container(8 * GB, 5 * GB)
    assert free_memory.free_bytes("cpu") == 5 * GB


def test_version_1_by_its_own_names(system):
    """The host's name of the group may not be there: then the root is the container's own."""
    files = {
        "memory/memory.limit_in_bytes": 4 * GB,
        "memory/memory.usage_in_bytes": 3 * GB,
        "memory/memory.stat": f"total_inactive_file {GB}\n",
    }
    system("5:cpu:/x\n4:memory:/docker/abc\n", files)
    assert free_memory.free_bytes("cpu") == 2 * GB


def test_the_tightest_group_around_counts(system):
    """A limit of a group around the own one holds, too."""
    system(
        "0::/pod/app\n",
        {
            "pod/memory.max": 2 * GB,
            "pod/memory.current": GB,
            "pod/app/memory.max": 9 * GB,
            "pod/app/memory.current": GB,
        },
    )
    assert free_memory.container() == free_memory.Container(2 * GB, GB)


def test_the_doctor_names_the_limit(system):
    """Its line on memory says that a container limits it."""
    system("0::/\n", {"memory.max": 2 * GB, "memory.current": GB})
    assert "1.0 of 2.0 GB of memory free in this container" in next(iter(machine.hardware(())))

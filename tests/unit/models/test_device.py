"""The device and dtype that `auto` means, and the memory that is free there."""

from __future__ import annotations

import pytest

from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.models import device
from pytest_llmsafety.models.device import resolve
from pytest_llmsafety.models.identity import Platform, platform_of
from pytest_llmsafety.session.doctor import machine
from pytest_llmsafety.specs import ModelSpec

GB = 10**9
CPU = Platform("hf", "float32", "cpu")


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A function that writes the files by which Linux tells limits."""
    monkeypatch.setattr(device, "CONTROL_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(device, "OF_PROCESS", tmp_path / "of-process")
    monkeypatch.setattr(device, "MEMORY", tmp_path / "meminfo")
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
    assert device.container() is None
    assert device.free_bytes("cpu") == 20_000_000 * 1024
    assert device.swap_bytes() == 1000 * 1024
    system("0::/a\n", {"a/memory.max": "max\n", "a/memory.current": 5})
    assert device.container() is None
    limit = "memory/a/memory.limit_in_bytes"
    system("4:memory:/a\n", {limit: 2**63 - 4096, "memory/a/memory.usage_in_bytes": 5})
    assert device.container() is None


def test_version_2_without_the_files_in_memory(system):
    """Files that were read are dropped when memory is needed, so they count as free."""
    stat = f"anon 7\ninactive_file {GB}\nactive_file {GB}\n"
    files = {"memory.max": 8 * GB, "memory.current": 5 * GB, "memory.stat": stat}
    system("0::/\n", files)
    assert device.container() == device.Container(8 * GB, 5 * GB)
    assert device.free_bytes("cpu") == 5 * GB


def test_version_1_by_its_own_names(system):
    """The host's name of the group may not be there: then the root is the container's own."""
    files = {
        "memory/memory.limit_in_bytes": 4 * GB,
        "memory/memory.usage_in_bytes": 3 * GB,
        "memory/memory.stat": f"total_inactive_file {GB}\n",
    }
    system("5:cpu:/x\n4:memory:/docker/abc\n", files)
    assert device.free_bytes("cpu") == 2 * GB


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
    assert device.container() == device.Container(2 * GB, GB)


def test_the_doctor_names_the_limit(system):
    """Its line on memory says that a container limits it."""
    system("0::/\n", {"memory.max": 2 * GB, "memory.current": GB})
    assert "1.0 of 2.0 GB of memory free in this container" in next(iter(machine.hardware(())))


def test_auto_means_float32_on_a_cpu():
    """Data type and device are settled in one place, for the key and for loading."""
    assert resolve(ModelSpec("m", device="cpu")) == ("float32", "cpu")
    assert resolve(ModelSpec("m", device="cpu", dtype="bfloat16")) == ("bfloat16", "cpu")
    assert platform_of(ModelSpec("m", device="cpu"), "hf") == CPU


def test_auto_means_bfloat16_on_a_gpu(monkeypatch):
    """Where torch sees a GPU, auto uses it."""
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve(ModelSpec("m")) == ("bfloat16", "cuda")
    assert platform_of(ModelSpec("m", device="cuda:1"), "hf").device_kind == "cuda"


def test_absent_gpu_is_a_named_error(monkeypatch):
    """Asking for a GPU that is not there says so."""
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for name in ("cuda", "mps"):
        with pytest.raises(ConfigurationError, match=f"'{name}' was asked for, but torch sees"):
            resolve(ModelSpec("m", device=name))


@pytest.mark.parametrize(
    ("asked", "n_gpus", "expected"),
    [
        ("auto:0", 2, "cuda:0"),
        ("auto:1", 2, "cuda:1"),
        ("auto:5", 2, "cuda:1"),
        ("auto:5", 1, "cuda:0"),
        ("auto", 2, "cuda"),
        ("cuda:1", 2, "cuda:1"),
        ("auto:5", 0, "cpu"),
        ("cpu", 2, "cpu"),
    ],
)
def test_several_processes_take_the_gpus_by_turns(monkeypatch, asked, n_gpus, expected):
    """Process K gets GPU K modulo their number, unless one was named; keys know no number."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: n_gpus > 0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: n_gpus)
    spec = ModelSpec("m", device=asked)
    assert resolve(spec)[1] == expected
    assert platform_of(spec, "hf").device_kind == expected.partition(":")[0]

"""What the doctor says of memory, packages and models."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_llmsafety.libraries import version
from pytest_llmsafety.session.doctor import machine
from pytest_llmsafety.specs import ModelSpec

if TYPE_CHECKING:
    from pathlib import Path

GPU = machine.GPU("cuda:0", "A GPU", free=10**10, total=2 * 10**10)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with the header of a million values, and bytes that are not read."""
    header = {"w": {"dtype": "F32", "shape": [1000, 1000], "data_offsets": [0, 4_000_000]}}
    text = json.dumps(header).encode()
    weights = len(text).to_bytes(8, "little") + text + bytes(4_000_000)
    (tmp_path / "model.safetensors").write_bytes(weights)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}', "utf-8")
    (tmp_path / "tokenizer.json").write_text("{}", "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("free", "line"),
    [
        (14_000_000, "fits twice: "),  # 4 MB of weights, and 2.5 times as much to compress
        (13_999_999, "fits once: "),
        (10_000_000, "fits once: "),
        (9_999_999, "does not fit: "),
    ],
)
def test_room_follows_the_rule_of_the_engine(
    model: Path, monkeypatch: pytest.MonkeyPatch, free: int, line: str
) -> None:
    """Weights times 3.5 for both models, times 2.5 for one that is compressed."""
    monkeypatch.setattr(machine, "free_bytes", lambda _: free)
    lines = list(machine.room(ModelSpec(str(model)), ()))
    assert lines[0] == f"{model}: 1,000,000 values, 0.00 GB as float32 on cpu"
    assert lines[1].startswith(line)


def test_room_on_a_gpu_is_that_of_the_gpu(model: Path) -> None:
    """With a GPU weights are bfloat16 on it, and its free memory counts."""
    first, second = machine.room(ModelSpec(str(model)), (GPU,))
    assert first.endswith("as bfloat16 on cuda:0")
    assert "10.0 GB are free" in second
    spec = ModelSpec(str(model), device="cuda")
    assert list(machine.room(spec, ())) == [f"{model}: torch sees no cuda:0 on this machine"]


def test_a_model_that_is_not_here_has_no_size() -> None:
    """A hub id is looked up in the local cache only."""
    [line] = machine.room(ModelSpec("org/nowhere"), ())
    assert "org/nowhere" in line
    assert "it is not in the local hub cache. Fetch it once" in line


def test_gpus_are_listed_with_their_memory() -> None:
    """One line for each, after the processors."""
    first, second = machine.hardware((GPU,))
    assert "CPU cores" in first
    assert "no CUDA GPU" not in first
    assert second == "cuda:0: A GPU, 10.0 of 20.0 GB free"
    assert next(iter(machine.hardware(()))).endswith("no CUDA GPU")


def test_the_gpu_of_a_mac_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It shares the memory, and is used where it is asked for."""
    assert not any(line.startswith("mps") for line in machine.hardware(()))
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert any(line.startswith("mps: the GPU of this Mac") for line in machine.hardware(()))


def test_packages_are_those_that_are_installed() -> None:
    """Version by version; what is not there is absent."""
    [line] = machine.packages()
    assert f"python {sys.version.split()[0]}" in line
    assert f"pytest {pytest.__version__}" in line
    assert version("no-such-package-here") == ""


def test_an_extra_is_complete_with_all_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is absent or too old makes its extra a missing one."""
    requires = [
        "pytest>=8", "pytest>=8; extra == 'here'", "pytest>=999; extra == 'old'",
        "no-such-package-here; extra == 'absent'", "pytest; extra == 'dev'",
    ]  # fmt: skip
    about = type("About", (), {"get_all": lambda *_: ["here", "old", "absent", "dev"]})()
    monkeypatch.setattr(machine.metadata, "requires", lambda _: requires)
    monkeypatch.setattr(machine.metadata, "metadata", lambda _: about)
    assert list(machine.extras()) == [
        "installed: here",
        "missing: absent, old; such as pip install 'pytest-llmsafety[absent]'",
    ]


def test_torch_is_not_imported_without_a_driver() -> None:
    """A machine without any GPU is examined in a second, without torch and transformers."""
    code = (
        "import sys; from pytest_llmsafety.session.doctor import examine, machine\n"
        "from pytest_llmsafety.config.options import Options\n"
        "machine.DRIVERS = (); machine.shutil.which = lambda _: None\n"
        "given = {'model': 'phantom', 'compress': 'dense', 'cache': 'off'}\n"
        "examine(Options.parse(given), with_model=True)\n"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

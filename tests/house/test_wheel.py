"""What users install: the wheel holds the whole package, and runs without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
THREE_LINES = """
from pytest_llmsafety import assert_qa_drop
def test_facts_are_not_forgotten(measure):
    assert_qa_drop(measure("qa"), margin=0.05)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, unpacked as pip unpacks it."""
    built, unpacked = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("unpacked")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)  # noqa: S603 - our own command
    assert done.returncode == 0, done.stderr
    (file,) = built.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(unpacked)
    return unpacked


def test_every_file_of_the_package_is_in_the_wheel(wheel: Path) -> None:
    """Weights, templates, texts and the suites, too."""
    places = {"pytest_llmsafety": "pytest_llmsafety", "suites": "pytest_llmsafety/suites"}
    wanted = {
        Path(place, path.relative_to(ROOT / folder))
        for folder, place in places.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {path for path in wanted if not (wheel / path).is_file()} == set()


def test_the_built_in_model_ships_without_its_training(wheel: Path) -> None:
    """Its weights, its world and its calibration texts are in the wheel; tools/ is not."""
    folder = wheel / "pytest_llmsafety" / "phantom"
    assert sorted(path.stem for path in folder.glob("*.py")) == [
        "__init__",
        "questions",
        "sentences",
        "training_text",
        "weights",
        "world",
    ]
    assert (folder / "weights" / "model.safetensors").is_file()
    assert not (wheel / "tools").exists()


def test_a_three_line_test_runs_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    """The plugin comes from the wheel, with its suites, far from the repository."""
    tmp_path.joinpath("test_mine.py").write_text(THREE_LINES, "utf-8")
    given = ("--model=phantom", "--compress=int8", "--llmsafety-plan", "-v", "--rootdir=.")
    command = [sys.executable, "-m", "pytest", *given]
    where = {**os.environ, "PYTHONPATH": str(wheel)}
    done = subprocess.run(  # noqa: S603 - our own command
        command, cwd=tmp_path, env=where, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert "test_mine.py::test_facts_are_not_forgotten[int8] SKIPPED" in done.stdout
    assert "unpacked0/pytest_llmsafety/suites/test_toxicity.py::" in done.stdout

"""The table [tool.llmsafety]: keys, kinds of values, and the folder that paths count from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_llmsafety.config.options import FLAGS
from pytest_llmsafety.config.pyproject import KEYS, read_project
from pytest_llmsafety.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, text: str) -> Path:
    """A pyproject.toml with this table."""
    path = folder / "pyproject.toml"
    path.write_text(f"[tool.llmsafety]\n{text}\n", "utf-8")
    return path


def test_every_flag_but_those_of_one_run_is_a_key() -> None:
    """Margins are a table of their own name."""
    others = {flag.name for flag in FLAGS if flag.switch} | {"margin"}
    assert KEYS.keys() == {flag.name for flag in FLAGS} - others


def test_values_are_read_as_those_of_flags(tmp_path: Path) -> None:
    """Lists of compressions are joined, pins are read, margins are left as they are."""
    text = "limit = 5\nalpha = 0.01\ncompress = ['int8', 'wanda:2:4']\npin = 'bbq=any'\n"
    assert read_project(written(tmp_path, f"{text}margins = {{qa = 1}}")) == {
        "limit": 5,
        "alpha": 0.01,
        "compress": "int8,wanda:2:4",
        "pin": [("bbq", "any")],
        "margins": {"qa": 1},
    }


def test_no_file_and_no_table_state_nothing(tmp_path: Path) -> None:
    """A project without the table is left alone."""
    assert read_project(tmp_path / "pyproject.toml") == {}
    (tmp_path / "pyproject.toml").write_text("[tool.other]\nx = 1", "utf-8")
    assert read_project(tmp_path / "pyproject.toml") == {}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("compressions = ['int4']", "Did you mean 'compress'"),
        ("margin = 1", "Did you mean 'margins'"),
        ("confidence = 0.9", "write alpha, which is 1 - confidence"),
        ("plan = true", "plan: it is for one run. Give --llmsafety-plan there"),
        ("[tool.llmsaftey]", r"has a table \[tool.llmsaftey\]. Did you mean \[tool.llmsafety\]"),
        ("[tool.pytest-llmsafety]", "Did you mean"),
        ("limit = [1]", r"\[tool.llmsafety\] limit: expected a text or a number, got \[1\]"),
        ("limit = true", "limit: expected a text or a number, got True"),
        ("compress = [4]", r"compress: expected a text or a list of texts, got \[4\]"),
        ("compress = []", "compress is empty"),
        ("limit = 0", r"\[tool.llmsafety\] limit: expected a whole number from 1 on, got '0'"),
        ("scope = 'all'", r"\[tool.llmsafety\] scope: invalid choice: 'all'.*population"),
        ("margins = 0.1", "margins: expected a table"),
        ("limit = ", "Expected TOML"),
    ],
)
def test_a_line_that_cannot_be_read_says_so(tmp_path: Path, line: str, expected: str) -> None:
    """Key, value and what was expected are in the message."""
    with pytest.raises(ConfigurationError, match=expected):
        read_project(written(tmp_path, line))


def test_paths_count_from_the_folder_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words, hub ids and absolute paths stay; a relative path is found from any folder."""
    lines = [
        "model = 'org/name'", "compress = ['int4', 'checkpoint:./small', 'checkpoint:org/name']",
        "cache = 'off'", "data = 'sets'", "report = '/out'", "scorer = 'classifier:../mine#1'",
        "scorer-accuracy = '~/it.json'", "baseline = 'ci/b.gz'", "calibration = 'texts.txt'",
    ]  # fmt: skip
    path = written(tmp_path, "\n".join(lines))
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert read_project(path) == {
        "model": "org/name",
        "compress": "int4,checkpoint:.././small,checkpoint:org/name",
        "cache": "off",
        "data": "../sets",
        "report": "/out",
        "scorer": "classifier:../../mine#1",
        "scorer-accuracy": "~/it.json",
        "baseline": "../ci/b.gz",
        "calibration": "../texts.txt",
    }
    elsewhere = ["s3://bucket/b.gz", "zip::https://host/b.zip", "hub:org/name@0123", "core"]
    for place in elsewhere:
        assert read_project(written(tmp_path, f"baseline = '{place}'")) == {"baseline": place}
    path = written(tmp_path, "\n".join(lines))
    monkeypatch.chdir(tmp_path)
    assert read_project(path)["data"] == "sets"
    assert read_project(path)["compress"] == "int4,checkpoint:./small,checkpoint:org/name"

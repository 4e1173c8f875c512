"""The command in a failure's message."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def reproduce(result: pytest.RunResult) -> str:
    """The command of the first failure."""
    return next(line for line in result.outlines if line.startswith("reproduce: "))[11:]


def test_it_names_the_test_and_one_compression(outcomes: Callable[..., pytest.Pytester]) -> None:
    """The seed is always there; of the compressions only the one that failed."""
    project = outcomes("FAIL")
    result = project.runpytest("--model=phantom", "--compress=int8,int4", project.path)
    assert reproduce(result) == (
        "pytest 'test_outcomes.py::test_fail[int8]' --model=phantom --compress=int8 "
        "--llmsafety-seed=0"
    )


def test_it_repeats_what_is_not_the_default(outcomes: Callable[..., pytest.Pytester]) -> None:
    """Every setting that may change the verdict is in it, quoted for a shell; the report is not."""
    project = outcomes("FAIL")
    project.mkdir("my data")
    given = ["--llmsafety-data=my data", "--llmsafety-limit=50", "--llmsafety-margin=fail=0.2"]
    result = project.runpytest(
        "--model=phantom", "--compress=int4", "--device=cpu", "--llmsafety-seed=7",
        "--llmsafety-report=out", *given, project.path,
    )  # fmt: skip
    words = shlex.split(reproduce(result))
    assert words[4:] == ["--llmsafety-seed=7", "--llmsafety-device=cpu", *given]


def test_it_reproduces(outcomes: Callable[..., pytest.Pytester]) -> None:
    """Run as it stands, it fails in the same way with the same command."""
    project = outcomes("FAIL")
    first = project.runpytest("--model", "phantom", "--compress", "int4", project.path)
    command = reproduce(first)
    second = project.runpytest(*shlex.split(command)[1:])
    assert second.ret == first.ret == 1
    assert reproduce(second) == command


def test_long_flags_are_used_where_another_plugin_has_the_short_ones(
    outcomes: Callable[..., pytest.Pytester],
) -> None:
    """A project with its own --model gets a command that works there."""
    project = outcomes("FAIL")
    conftest = project.path / "conftest.py"
    own = "\ndef pytest_addoption(parser):\n    parser.addoption('--model')\n"
    conftest.write_text(conftest.read_text("utf-8") + own, "utf-8")
    result = project.runpytest("--llmsafety-model=phantom", "--compress=int4", project.path)
    words = shlex.split(reproduce(result))
    assert words[2:4] == ["--llmsafety-model=phantom", "--llmsafety-compress=int4"]


def test_it_works_from_the_folder_that_pytest_was_started_in(
    outcomes: Callable[..., pytest.Pytester], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below the root the path of the test is relative to that folder."""
    project = outcomes("FAIL")
    project.makeini("[pytest]\n")
    below = project.mkdir("below")
    for name in ("test_outcomes.py", "judge.py"):
        project.path.joinpath(name).rename(below / name)
    monkeypatch.chdir(below)
    result = project.runpytest("--model=phantom", "--compress=int4", ".")
    assert shlex.split(reproduce(result))[1] == "test_outcomes.py::test_fail[int4]"

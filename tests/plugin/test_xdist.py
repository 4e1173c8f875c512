"""Safety tests on the workers of pytest-xdist."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_llmsafety.plugin.collection import compression_in
from pytest_llmsafety.plugin.xdist_workers import chooses_distribution
from pytest_llmsafety.specs import CompressionSpec

if TYPE_CHECKING:
    from collections.abc import Callable

ALL = ("PASS", "FAIL", "INCONCLUSIVE")
OF_ONE_RUN = ("command", "ended")
PAIRS = ("--model", "phantom", "--compress=int8,int4")
GIVEN = (*PAIRS, "-n2")
WHERE = """
import os

import pytest


@pytest.mark.parametrize("number", range(3))
def test_where(number, model_pair, llmsafety_resources, request):
    options, name = llmsafety_resources.options, os.environ["PYTEST_XDIST_WORKER"]
    seen = [name, model_pair.compression, options.model.device, options.one_model, options.cache]
    with (request.path.parent / f"{name}.txt").open("a") as file:
        file.write(" ".join(map(str, seen)) + "\\n")
    assert options.cache.is_dir()
"""
DYING = """
import os


def test_first(model_pair):
    pass


def test_dies(model_pair):
    if str(model_pair.compression) == "int4":
        os._exit(1)


def test_last(model_pair):
    pass
"""


def test_verdicts_reach_the_controller(outcomes: Callable[..., pytest.Pytester]) -> None:
    """Outcomes, table, counts and report are the same as without workers."""
    project = outcomes(*ALL)
    project.runpytest(*PAIRS, "--llmsafety-report=alone", project.path)
    result = project.runpytest(*GIVEN, "--llmsafety-report=out", project.path)
    result.stdout.fnmatch_lines(["*safety verdicts*", "phantom under int?", "*2 inconclusive*"])
    texts = [project.path.joinpath(d, "report.json").read_text() for d in ("alone", "out")]
    alone, report = (
        {name: value for name, value in json.loads(text).items() if name not in OF_ONE_RUN}
        for text in texts
    )
    assert report == alone
    assert report["models"]["phantom"]
    verdicts = [v["outcome"] for test in report["tests"] for v in test["verdicts"]]
    assert sorted(verdicts) == sorted(ALL * 2)
    assert {test["nodeid"].partition("[")[2]: test["compression"] for test in report["tests"]} == {
        "int4]": "int4",
        "int8]": "int8",
    }
    assert result.ret == 1


def test_the_exit_status_is_6_when_nothing_failed(
    outcomes: Callable[..., pytest.Pytester],
) -> None:
    """The controller settles the exit status."""
    project = outcomes("PASS", "INCONCLUSIVE")
    assert project.runpytest(*GIVEN, project.path).ret == 6


def test_every_worker_closes_its_resources(
    outcomes: Callable[..., pytest.Pytester], notes: Callable[[], list[str]]
) -> None:
    """Controller and workers have resources of their own, and none is left open."""
    project = outcomes(*ALL)
    project.runpytest(*GIVEN, project.path)
    lines = notes()
    opened = [line for line in lines if line.startswith("open")]
    assert "open controller" in opened
    assert lines.count("close") == len(opened)


def test_a_worker_keeps_the_tests_of_one_compression(project: pytest.Pytester) -> None:
    """Each has a model at a time and the GPU of its number; a run without a cache leaves none."""
    project.makepyfile(test_where=WHERE)
    result = project.runpytest(*GIVEN, "--llmsafety-cache=off", "-v", project.path)
    result.assert_outcomes(passed=6)
    result.stdout.fnmatch_lines(["*via ByCompression", "*PASSED test_where.py::test_where[[]*"])
    assert "@" not in result.stdout.str()
    seen = [path.read_text("utf-8").splitlines() for path in sorted(project.path.glob("gw*.txt"))]
    assert [len(lines) for lines in seen] == [3, 3]
    words = [{*lines}.pop().split() for lines in seen]
    assert [{*lines} == {" ".join(one)} for lines, one in zip(seen, words, strict=True)]
    assert {one[1] for one in words} == {"int8", "int4"}
    assert [(one[0], one[2], one[3]) for one in words] == [
        ("gw0", "auto:0", "True"),
        ("gw1", "auto:1", "True"),
    ]
    assert words[0][4] == words[1][4]
    assert not Path(words[0][4]).exists()


def test_a_test_that_kills_its_worker_is_a_failure(project: pytest.Pytester) -> None:
    """It is run once and in the report; another worker runs the tests after it."""
    project.makepyfile(test_dying=DYING)
    result = project.runpytest(*GIVEN, "--llmsafety-report=out", project.path)
    result.assert_outcomes(passed=5, failed=1)
    assert result.ret == 1
    report = json.loads(project.path.joinpath("out", "report.json").read_text("utf-8"))
    failed = {t["nodeid"]: t["message"] for t in report["tests"] if t["outcome"] == "failed"}
    assert list(failed) == ["test_dying.py::test_dies[int4]"]
    assert "crashed while running" in next(iter(failed.values()))
    assert len(report["tests"]) == 6


@pytest.mark.parametrize(
    ("args", "chosen"),
    [
        ([], False),
        (["-n2"], False),
        (["-n2", "--dist=load"], True),
        (["-n2", "-d"], True),
        (["-p", "no:xdist"], False),
    ],
)
def test_a_distribution_that_the_user_chose_is_kept(
    args: list[str], pytester: pytest.Pytester, *, chosen: bool
) -> None:
    """`-n` alone leaves the choice to us, `--dist` does not."""
    assert chooses_distribution(pytester.parseconfig(*args)) is chosen


@pytest.mark.parametrize(
    ("nodeid", "shown"),
    [
        ("a.py::test[int8]", "int8"),
        ("a.py::test[x-int8+kv:4-y]", "int8+kv:4"),
        ("a.py::test[checkpoint:./\\u043c-1]", r"checkpoint:./\u043c"),
        ("a.py::test[paint8]", ""),
        ("int8.py::test", ""),
    ],
)
def test_an_id_shows_its_compression(nodeid: str, shown: str) -> None:
    """The controller reads the compression of a test in its id, among other parameters."""
    specs = CompressionSpec.parse_list("int8,int8+kv:4,checkpoint:./\u043c")
    assert compression_in(nodeid, specs) == shown

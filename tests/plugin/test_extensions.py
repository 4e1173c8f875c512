"""The pages on adding a part, followed to the letter: installed packages, in one real session."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmsafety import SafetyFailure
from pytest_llmsafety.types import Generation, Item
from tests.stand_ins.measurements import measurement
from tests.stand_ins.third_party_package import blocks, install

if TYPE_CHECKING:
    from pathlib import Path

PARTS = ("compressor", "dataset", "metric", "report")
LANDS = [("Peru", "Lima"), ("Chad", "N'Djamena"), ("Fiji", "Suva"), ("Oman", "Muscat")]


@dataclass(frozen=True)
class Session:
    """A finished run: what it printed, and the folder that it wrote reports to."""

    printed: str
    reports: Path

    @property
    def report(self) -> dict[str, Any]:
        """What report.json holds."""
        found: dict[str, Any] = json.loads(self.reports.joinpath("report.json").read_text("utf-8"))
        return found

    @property
    def tests(self) -> dict[str, dict[str, Any]]:
        """The tests of report.json by name."""
        return {test["nodeid"].partition("::")[2]: test for test in self.report["tests"]}

    def verdict(self, name: str) -> dict[str, Any]:
        """The one verdict of a test under the page's own compression."""
        (verdict,) = self.tests[f"{name}[clip:0.3]"]["verdicts"]
        return verdict


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Run the tests of all pages on the built-in model, compressed by the page's compressor."""
    folder = tmp_path_factory.mktemp("project")
    for part in PARTS:
        follow(f"add-a-{part}.md", folder)
    assertion = "\n".join(blocks("custom-assertion.md", "python"))
    folder.joinpath("test_assertion.py").write_text(assertion, "utf-8")
    rows = [{"land": land, "town": town, "continent": "any"} for land, town in LANDS]
    folder.joinpath("capitals.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    data = f"--llmsafety-data={folder}"
    return run(folder, "--model=phantom", "--compress=clip:0.3", data)


def follow(page: str, folder: Path) -> None:
    """Install the page's class into `folder`, and write its tests there."""
    module = install(page, folder)
    code = blocks(page, "python")[1:]
    if code:
        lines = [f"from {module} import *", *code]
        folder.joinpath(f"test_{module.rpartition('.')[2]}.py").write_text(
            "\n".join(lines), "utf-8"
        )


def run(folder: Path, *flags: str) -> Session:
    """Run the tests of `folder` in a process that finds its packages."""
    command = [
        sys.executable, "-m", "pytest", str(folder), *flags,
        f"--llmsafety-cache={folder / 'cache'}", f"--llmsafety-report={folder / 'out'}",
    ]  # fmt: skip
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(  # noqa: S603 - pytest, on our own pages
        command, cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    return Session(done.stdout + done.stderr, folder / "out")


def test_the_compressor_compresses(session: Session) -> None:
    """The session runs under it, and its record names all layers of the phantom."""
    verdict = session.verdict("test_the_model_still_answers")
    record = session.report["records"][verdict["record"]]
    assert record["method"].startswith("clip")
    assert len(record["layers_changed"]) == 28
    assert record["changed_share"] < 0.9 < record["changed_body_share"] < 1
    assert record["kept"][0][0] == "model.embed_tokens"


def test_the_data_set_is_asked(session: Session) -> None:
    """Both models are asked its items, which have groups and a digest."""
    verdict = session.verdict("test_capitals_are_kept")
    assert (verdict["dataset"], verdict["n_asked"], verdict["n_suite"]) == ("capitals", 4, 4)
    assert [group["group"] for group in verdict["groups"]] == ["continent:any"]
    assert len(verdict["data_digest"]) == 16


def test_the_metric_is_measured(session: Session) -> None:
    """Answers of a broken model loop until they are cut off; the dense model's end."""
    verdict = session.verdict("test_answers_still_end")
    assert (verdict["measurement"], verdict["dense"]) == ("endless", 0)
    assert verdict["compressed"] > 0
    assert verdict["higher_is_better"] is False


def test_a_missing_answer_is_no_number_of_the_metric() -> None:
    """The page's metric hands on what the model could not do."""
    names = _names(blocks("add-a-metric.md", "python")[:1])
    answers = [
        Generation(("so",), (24,), (False,)),
        Generation(("so",), (1,), (True,)),
        Generation((), problem="too long"),
    ]
    items = [Item(str(index), "Say:") for index in range(3)]
    scores = names["Endless"]().scores(items, [(answer,) for answer in answers])
    assert [(score.value, score.problem) for score in scores] == [
        (1.0, ""),
        (0.0, ""),
        (None, "too long"),
    ]


def test_the_backend_runs_the_model_under_test(tmp_path: Path) -> None:
    """`--model` names it; its compressed model has forgotten the rare half of the 260 facts."""
    follow("add-a-backend.md", tmp_path)
    done = run(tmp_path, "--model=lookup:facts", "--compress=int4")
    ((verdict,),) = (test["verdicts"] for test in done.report["tests"])
    assert verdict["model"] == "lookup:facts"
    assert (verdict["outcome"], verdict["dense"], verdict["compressed"]) == ("FAIL", 1, 0.5)
    assert (verdict["decision"]["n_worse"], verdict["decision"]["n_better"]) == (130, 0)


def test_the_report_is_written(session: Session) -> None:
    """The file has a row for each verdict, with the outcome and margin that report.json has."""
    with session.reports.joinpath("verdicts.csv").open(encoding="utf-8") as file:
        rows = [(row["outcome"], float(row["margin"])) for row in csv.DictReader(file)]
    found = [(v["outcome"], v["margin"]) for t in session.tests.values() for v in t["verdicts"]]
    assert sorted(rows) == sorted(found)
    assert len(rows) == 3


def test_the_assertion_of_ones_own_is_judged(session: Session) -> None:
    """Its verdict stands in the report under its own aspect."""
    verdict = session.verdict("test_the_model_still_answers")
    assert (verdict["aspect"], verdict["outcome"]) == ("silenced", "PASS")


POLICY = """
[tool.llmsafety]
alpha = 0.01
scope = "suite"

[tool.llmsafety.margins]
"qa.silence" = 0.3
"""


MARKED = """
import pytest
from test_assertion import assert_still_speaks


@pytest.mark.llmsafety(margin=0.25, confidence=0.9)
def test_marked(measure):
    assert_still_speaks(measure("qa"), margin=0.02)
"""


def test_the_assertion_of_ones_own_obeys_the_run(tmp_path: Path) -> None:
    """Margin, error rate and scope of the project's policy reach it, and those of a marker."""
    assertion = "\n".join(blocks("custom-assertion.md", "python"))
    tmp_path.joinpath("test_assertion.py").write_text(assertion, "utf-8")
    tmp_path.joinpath("test_marked.py").write_text(MARKED, "utf-8")
    tmp_path.joinpath("pyproject.toml").write_text(POLICY, "utf-8")
    done = run(tmp_path, "--model=phantom", "--compress=int8", "--llmsafety-limit=40")
    seen = {
        test["nodeid"].partition("::")[2]: (
            verdict["margin"],
            verdict["decision"]["confidence"],
            verdict["scope"],
            verdict["margins_used"],
        )
        for test in done.report["tests"]
        for verdict in test["verdicts"]
    }
    assert seen == {
        "test_the_model_still_answers[int8]": (0.3, 0.99, "suite", ["qa.silence"]),
        "test_marked[int8]": (0.25, 0.9, "suite", []),
    }


def test_the_assertion_of_ones_own_fails() -> None:
    """Where 30 of 100 answers fall silent, the share is .3, and a margin of .02 is broken."""
    names = _names(blocks("custom-assertion.md", "python"))
    measured = measurement([0.0] * 100, [0.0] * 100)
    silent = [replace(pair.compressed, text=" ") for pair in measured.pairs[:30]]
    pairs = [
        replace(pair, compressed=score) for pair, score in zip(measured.pairs, silent, strict=False)
    ]
    measured = replace(measured, pairs=(*pairs, *measured.pairs[30:]))
    with pytest.raises(SafetyFailure, match=r"silenced .* 0 -> 0\.3,"):
        names["assert_still_speaks"](measured, margin=0.02)


def _names(codes: list[str]) -> dict[str, Any]:
    """What blocks of a page define, run one after the other."""
    names: dict[str, Any] = {"__name__": "page"}
    for code in codes:
        exec(compile(code, "page", "exec", dont_inherit=True), names)  # noqa: S102 - our own pages
    return names

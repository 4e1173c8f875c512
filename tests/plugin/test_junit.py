"""--junitxml: the figures of each verdict as properties, and INCONCLUSIVE by its word."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

GIVEN = ("--model=phantom", "--compress=int4", "--junitxml=junit.xml")
UNDECIDED = {
    "llmsafety.measurement": "inconclusive", "llmsafety.compression": "int4",
    "llmsafety.outcome": "INCONCLUSIVE", "llmsafety.dense": "0.1", "llmsafety.compressed": "0.11",
    "llmsafety.delta": "0.01", "llmsafety.lower": "0", "llmsafety.upper": "0.02",
    "llmsafety.margin": "0.01", "llmsafety.higher_is_better": "false",
    "llmsafety.n_items": "200",
    "llmsafety.n_scored": "200", "llmsafety.n_asked": "200", "llmsafety.n_suite": "0",
}  # fmt: skip


def cases(project: pytest.Pytester) -> dict[str, ET.Element]:
    """The <testcase> elements of the file by name."""
    root = ET.parse(project.path / "junit.xml").getroot()  # noqa: S314 - pytest wrote it
    return {case.get("name", ""): case for case in root.iter("testcase")}


def properties_of(case: ET.Element) -> dict[str, str]:
    """The properties of a test."""
    return {p.get("name", ""): p.get("value", "") for p in case.iter("property")}


def test_each_test_has_the_figures(outcomes: Callable[..., pytest.Pytester]) -> None:
    """A test's properties are the figures of its verdict, and nothing else of ours."""
    project = outcomes("PASS", "INCONCLUSIVE")
    project.runpytest(*GIVEN, project.path)
    found = cases(project)
    assert properties_of(found["test_inconclusive[int4]"]) == UNDECIDED
    assert properties_of(found["test_pass[int4]"])["llmsafety.outcome"] == "PASS"


def test_workers_write_the_same(outcomes: Callable[..., pytest.Pytester]) -> None:
    """Under xdist the properties reach the file of the controller."""
    project = outcomes("INCONCLUSIVE")
    project.runpytest(*GIVEN, "-n1", project.path)
    assert properties_of(cases(project)["test_inconclusive[int4]"]) == UNDECIDED


def test_inconclusive_is_a_failure_that_says_so(outcomes: Callable[..., pytest.Pytester]) -> None:
    """Its message begins with the word, which JUnit has no element for."""
    project = outcomes("FAIL", "INCONCLUSIVE")
    project.runpytest(*GIVEN, project.path)
    begins = {}
    for name, case in cases(project).items():
        failure = case.find("failure")
        assert failure is not None
        begins[name] = failure.get("message", "")[:18]
    assert begins == {
        "test_fail[int4]": "fail rose under in",
        "test_inconclusive[int4]": "INCONCLUSIVE: inco",
    }


def test_a_second_verdict_is_numbered(project: pytest.Pytester) -> None:
    """Two verdicts of one test do not hide each other."""
    project.makepyfile(
        """
        from judge import judge

        def test_two(measure):
            judge(measure("a"), "PASS")
            judge(measure("b"), "FAIL")
        """
    )
    project.runpytest(*GIVEN, project.path)
    (case,) = cases(project).values()
    properties = properties_of(case)
    assert properties["llmsafety.measurement"] == "a"
    assert properties["llmsafety.outcome"] == "PASS"
    assert properties["llmsafety.2.measurement"] == "b"
    assert properties["llmsafety.2.outcome"] == "FAIL"

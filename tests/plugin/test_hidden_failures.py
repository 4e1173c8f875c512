"""A FAIL that a test hides, or judges elsewhere than in its body, never ends green."""

from __future__ import annotations

import json

import pytest

GIVEN = ("--model=phantom", "--compress=int4")
TESTS = """
import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from judge import judge
from pytest_llmsafety.errors import SafetyFailure


def swallowed(measurement, outcome="FAIL"):
    try:
        judge(measurement, outcome)
    except AssertionError:
        pass


@pytest.fixture
def set_up(measure):
    swallowed(measure("x"))


@pytest.fixture
def torn_down(measure):
    yield
    swallowed(measure("x"))


def test_fail_swallowed(measure):
    swallowed(measure("x"))


def test_fail_skipped(measure):
    try:
        judge(measure("x"), "FAIL")
    except AssertionError:
        pytest.skip("flaky")


def test_fail_xfail_called(measure):
    swallowed(measure("x"))
    pytest.xfail("known")


@pytest.mark.xfail
def test_fail_xfail_without_a_reason(measure):
    judge(measure("x"), "FAIL")


def test_fail_then_doubt(measure):
    swallowed(measure("x"))
    judge(measure("y"), "INCONCLUSIVE")


def test_fail_in_a_thread(measure):
    thread = threading.Thread(target=swallowed, args=(measure("x"),))
    thread.start()
    thread.join()


def test_fail_in_a_pool(measure):
    with ThreadPoolExecutor() as pool:
        assert pool.submit(judge, measure("x"), "FAIL").exception()


def test_fail_in_a_task(measure):
    async def task():
        swallowed(measure("x"))
    asyncio.run(task())


def test_fail_wanted(measure):
    with pytest.raises(SafetyFailure):
        judge(measure("x"), "FAIL")


def test_fail_in_setup(set_up):
    pass


def test_fail_in_teardown(torn_down):
    pass


def test_fail_in_a_finalizer(measure, request):
    request.addfinalizer(lambda: swallowed(measure("x")))


def test_fail_in_a_subtest(measure, subtests):
    with subtests.test("one"):
        swallowed(measure("x"))


def test_doubt_skipped(measure):
    swallowed(measure("x"), "INCONCLUSIVE")
    pytest.skip("flaky")


def test_doubt_unused(measure):
    pass


@pytest.mark.xfail(raises=SafetyFailure)
def test_green_expected(measure):
    judge(measure("x"), "FAIL")


def test_green_judged_at_the_end(measure, request):
    request.addfinalizer(lambda: judge(measure("x"), "PASS"))


def test_green_own(model_pair):
    assert model_pair
"""


def test_the_worst_outcome_of_a_test_decides(project: pytest.Pytester) -> None:
    """However it was caught, and wherever it was judged; a mark that names it may expect it."""
    project.makepyfile(test_hidden=TESTS)
    result = project.runpytest(*GIVEN, "-v", "-rA", "test_hidden.py", "--llmsafety-report=out")
    assert result.ret == 1
    seen: dict[str, str] = {}
    report = json.loads((project.path / "out" / "report.json").read_text("utf-8"))
    for test in report["tests"]:
        seen[test["nodeid"].partition("::test_")[2].partition("[")[0]] = test["outcome"]
    red = {name for name, outcome in seen.items() if outcome in ("failed", "error")}
    doubt = {name for name, outcome in seen.items() if outcome == "inconclusive"}
    assert red == {name for name in seen if name.startswith("fail")}
    assert doubt == {name for name in seen if name.startswith("doubt")}
    assert len(seen) == 18


ELSEWHERE = """
import threading
from judge import judge

late = threading.Event()


def test_starts_a_thread(measure, request):
    made = measure("x")

    def run():
        late.wait()
        try:
            judge(made, "FAIL")
        except AssertionError:
            pass

    thread = threading.Thread(target=run)
    thread.start()
    request.config.threads = [thread]
    judge(made, "PASS")
"""
AFTERWARDS = """
import sys
import pytest

@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtestloop(session):
    result = yield
    for thread in getattr(session.config, "threads", ()):
        sys.modules["test_elsewhere"].late.set()
        thread.join()
    return result
"""


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_a_fail_outside_of_any_test_counts(project: pytest.Pytester, workers: str) -> None:
    """As by a thread that outlives its test, in this process or on a worker."""
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text("utf-8") + AFTERWARDS, "utf-8")
    project.makepyfile(test_elsewhere=ELSEWHERE)
    result = project.runpytest(*GIVEN, workers, "test_elsewhere.py", "--llmsafety-report=out")
    assert result.ret == 1
    report = json.loads((project.path / "out" / "report.json").read_text("utf-8"))
    assert sorted(test["outcome"] for test in report["tests"]) == ["failed", "passed"]


def test_a_fixture_asked_for_by_name_is_no_skip(project: pytest.Pytester) -> None:
    """With a model such a test judges nothing and fails, in the report too."""
    project.makepyfile(
        test_late="def test_late(request):\n    request.getfixturevalue('measure')\n"
        "def test_fine(model_pair):\n    assert model_pair\n"
    )
    result = project.runpytest(*GIVEN, "test_late.py", "--llmsafety-report=out")
    assert result.ret == 1
    report = json.loads((project.path / "out" / "report.json").read_text("utf-8"))
    assert sorted(test["outcome"] for test in report["tests"]) == ["failed", "passed"]


RERUN = """
import pytest
from _pytest.runner import runtestprotocol

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    for attempt in range(2):
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        for report in reports:
            if report.failed and not attempt:
                report.outcome = "rerun"
                break
        else:
            break
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    return True
"""


def test_a_second_attempt_does_not_replace_a_fail(project: pytest.Pytester) -> None:
    """A plugin that runs a failed test again cannot make it pass."""
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text("utf-8") + RERUN, "utf-8")
    project.makepyfile(
        test_rerun="""
        from judge import judge
        outcomes = ["FAIL", "PASS"]

        def test_again(measure):
            judge(measure("x"), outcomes.pop(0))
        """
    )
    result = project.runpytest(*GIVEN, "test_rerun.py")
    assert result.ret == 1

"""A run that is not whole says so first, in every report."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

GIVEN = ("--model=phantom", "--compress=int8,int4", "--llmsafety-report=out", "test_outcomes.py")
STOP = """
def test_signal(measure):
    import os
    import signal

    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job ignores ^C
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.kill(os.getpid(), {})
"""


def gaps(project: pytest.Pytester) -> dict[str, int]:
    """How many tests each gap of report.json names."""
    report = json.loads((project.path / "out" / "report.json").read_text("utf-8"))
    assert report["complete"] == (not report["gaps"])
    return {gap["code"]: len(gap["tests"]) for gap in report["gaps"]}


def test_a_deselected_test_makes_the_run_incomplete(
    outcomes: Callable[..., pytest.Pytester],
) -> None:
    """Terminal, page, summary and card say so, and none names the smallest that passed."""
    project = outcomes("PASS")
    result = project.runpytest(*GIVEN, "-k", "int8")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*safety verdicts*", "INCOMPLETE: this run is not whole.*"])
    assert gaps(project) == {"deselected": 1}
    for name in ("report.html", "summary.md", "model-card.md"):
        text = (project.path / "out" / name).read_text("utf-8")
        assert "INCOMPLETE" in text
        assert "smallest" not in text
    for name in ("summary.md", "model-card.md"):
        first = (project.path / "out" / name).read_text("utf-8").splitlines()[0]
        assert "INCOMPLETE" in first
    assert project.runpytest(*GIVEN).ret == 0
    assert gaps(project) == {}


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")]
)
def test_a_signal_leaves_reports(
    outcomes: Callable[..., pytest.Pytester], number: signal.Signals, code: str
) -> None:
    """SIGTERM ends a run as ^C does, with exit status 2, and is handled as before afterwards."""
    project = outcomes("PASS")
    path = project.path / "test_outcomes.py"
    path.write_text(path.read_text("utf-8") + STOP.format(int(number)), "utf-8")
    before = signal.getsignal(signal.SIGTERM)
    result = project.runpytest_subprocess(*GIVEN)
    assert result.ret == 2
    assert gaps(project)[code] in (2, 3)
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_stopped_or_was_skipped_is_a_gap(outcomes: Callable[..., pytest.Pytester]) -> None:
    """-x and a mark that skips."""
    project = outcomes("FAIL", "PASS")
    project.runpytest(*GIVEN, "-x")
    assert gaps(project) == {"stopped": 3}
    project.makepyfile(
        test_outcomes="import pytest\n@pytest.mark.skip\ndef test_later(measure):\n    pass\n"
    )
    project.runpytest(*GIVEN)
    assert gaps(project) == {"skipped": 2}


def test_a_collection_error_stops_a_run(outcomes: Callable[..., pytest.Pytester]) -> None:
    """Its file is named, and the tests that were collected are not said to be interrupted by ^C."""
    project = outcomes("PASS")
    project.makepyfile(test_broken="import nothing_here\ndef test_broken(measure):\n    pass\n")
    assert project.runpytest(*GIVEN, "test_broken.py").ret == 2
    assert gaps(project) == {"uncollected": 1, "stopped": 2}


def test_a_model_without_a_safety_test_is_no_success(project: pytest.Pytester) -> None:
    """Exit status 7 and a sentence."""
    project.makepyfile(test_other="def test_other():\n    pass")
    result = project.runpytest(*GIVEN[:2], "test_other.py")
    assert result.ret == 7
    result.stdout.fnmatch_lines(["llmsafety: a model was given, and no safety test ran *"])


def test_a_test_that_fails_after_a_pass_is_no_approval(project: pytest.Pytester) -> None:
    """An assertion of its own failed: no report says PASS in its headline or card."""
    project.makepyfile(
        test_outcomes="from judge import judge\ndef test_own(measure):\n"
        "    judge(measure('x'), 'PASS')\n    assert not 'dull'\n"
    )
    result = project.runpytest(*GIVEN)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["failed in spite of its verdicts: *"])
    page, summary = (
        (project.path / "out" / name).read_text("utf-8") for name in ("report.html", "summary.md")
    )
    assert 'class="card PASS"' not in page
    assert "smallest" not in page
    assert "NO VERDICT" in summary.splitlines()[0]


def test_no_card_of_an_incomplete_run_approves(outcomes: Callable[..., pytest.Pytester]) -> None:
    """Cards and headings of a compression say INCOMPLETE; a file that skips itself is a gap."""
    project = outcomes("PASS")
    project.makepyfile(
        test_gone="import pytest\npytest.skip('no', allow_module_level=True)\n"
        "def test_gone(measure):\n    pass\n",
        test_other="import pytest\npytest.skip('no', allow_module_level=True)\n",
    )
    project.runpytest(*GIVEN, "test_gone.py", "test_other.py")
    assert gaps(project) == {"skipped": 1}
    page, summary, card = (
        (project.path / "out" / name).read_text("utf-8")
        for name in ("report.html", "summary.md", "model-card.md")
    )
    assert page.count('<li class="card INCOMPLETE">') == 2
    assert 'class="card PASS"' not in page
    assert summary.count("### INCOMPLETE: Under") == 2
    assert card.count("### INCOMPLETE: phantom under") == 2


SLOW = """
import time
from judge import judge


def test_first(measure):
    judge(measure("x"), "PASS")


def test_slow(measure):
    time.sleep(4)
"""


def started(project: pytest.Pytester, *args: str) -> subprocess.Popen[bytes]:
    """Start a run, and return when one of its tests sleeps."""
    project.makepyfile(test_slow=SLOW.replace("time.sleep", "open('slow', 'w'); time.sleep"))
    words = [sys.executable, "-m", "pytest", *GIVEN[:-1], "test_slow.py", *args]
    running = subprocess.Popen(words, cwd=project.path, stdout=subprocess.DEVNULL)  # noqa: S603
    until = time.monotonic() + 60
    while not (project.path / "slow").exists() and time.monotonic() < until:
        time.sleep(0.05)
    return running


def test_sigterm_ends_workers_and_leaves_reports(project: pytest.Pytester) -> None:
    """The controller writes that it was terminated, although SIGTERM comes twice."""
    running = started(project, "-n2")
    running.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 2
    assert gaps(project)["terminated"] >= 2
    assert {path.name for path in (project.path / "out").iterdir()} == {
        "report.json", "report.html", "summary.md", "model-card.md"
    }  # fmt: skip


def test_a_killed_run_leaves_no_report_of_an_earlier_one(project: pytest.Pytester) -> None:
    """report.json says INCOMPLETE from the first test on, and the other reports are gone."""
    out = project.path / "out"
    out.mkdir()
    for name in ("report.json", "report.html", "summary.md", "model-card.md"):
        (out / name).write_text("PASS", "utf-8")
    running = started(project)
    running.kill()
    running.wait(60)
    assert [path.name for path in out.iterdir()] == ["report.json"]
    assert gaps(project) == {"running": 0}

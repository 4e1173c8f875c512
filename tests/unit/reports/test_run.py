"""A finished run, and the class that makes a file of it."""

from __future__ import annotations

import doctest

from pytest_llmsafety.reports import run


def test_the_example_of_a_report_runs() -> None:
    """The docstring of `Report` holds a whole report, and what it makes of a run."""
    done = doctest.testmod(run)
    assert (done.failed, done.attempted > 0) == (0, True)

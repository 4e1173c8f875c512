"""What a session keeps of its tests."""

from __future__ import annotations

from importlib.metadata import distributions, version

from pytest_llmsafety.options import Options
from pytest_llmsafety.reports.run import SafetyTest
from pytest_llmsafety.session import PACKAGES, SafetySession


def test_the_versions_of_what_is_installed_are_told():
    """What computes, reads or scores is named with its version; what is not there is left out."""
    told = dict(SafetySession(Options()).run(0).versions)
    assert {"torch", "tokenizers", "numpy", "scipy", "datasets"} <= told.keys()
    assert told["numpy"] == version("numpy")
    absent = [name for name in PACKAGES if name not in told]
    assert not [name for name in absent if name in {dist.name for dist in distributions()}]


def test_tests_can_be_put_into_an_order():
    """Whichever was done first; one that the order does not know comes last."""
    session = SafetySession(Options())
    for name in ("other", "c", "a", "b"):
        session.record(SafetyTest(name, "passed", "", ()))
    session.arrange(["a", "b", "x", "c"])
    assert [test.nodeid for test in session.run(0).tests] == ["a", "b", "c", "other"]

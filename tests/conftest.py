"""What all tests share: no network, one thread, and shared/ where it is present."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"  # read by torch when it is imported; two cores, many tests
os.environ.pop("GITHUB_STEP_SUMMARY", None)  # a run inside a test is none of our own CI's

pytest_plugins = ["pytester"]

SHARED = Path(__file__).resolve().parents[2] / "shared"
ABSENT = "shared/ is absent"
NO_BROWSER = "no Chromium is installed"
REQUIRED = {ABSENT: "LLMSAFETY_REQUIRE_SHARED", NO_BROWSER: "LLMSAFETY_REQUIRE_BROWSER"}


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data next to the checkout; the test is skipped without it."""
    if not SHARED.is_dir():
        pytest.skip(ABSENT)
    return SHARED


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let no test be skipped for want of what an environment variable requires."""
    report = yield
    _require(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole file that is skipped."""
    report = yield
    _require(report)
    return report


def _require(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure where .ci/run found, or brought, what the test wants."""
    for reason, variable in REQUIRED.items():
        if report.skipped and reason in str(report.longrepr) and os.environ.get(variable) == "1":
            report.outcome = "failed"
            report.longrepr = f"{reason}, and {variable}=1 wants it"

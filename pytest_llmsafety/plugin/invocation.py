"""The folder that pytest was started in: paths count from it, and tests are named from it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmsafety.paths import count_from
from pytest_llmsafety.progress import Progress, on_stderr

if TYPE_CHECKING:
    from collections.abc import Callable

STOP: pytest.StashKey[Callable[[], None]] = pytest.StashKey()
START = "llmsafety_start"
"""The key of the controller's folder among the inputs of a worker of xdist."""


def started_in(config: pytest.Config) -> Path:
    """Return the folder of the call of pytest; on a worker of xdist, that of the controller."""
    given: dict[str, Any] = getattr(config, "workerinput", {})
    return Path(given.get(START, config.invocation_params.dir))


def begin(config: pytest.Config) -> None:
    """Count relative paths from the folder of the call, also where a test changes the folder."""
    config.stash[STOP] = count_from(started_in(config))


def end(config: pytest.Config) -> None:
    """Count relative paths from the current folder again."""
    if stop := config.stash.get(STOP, None):
        del config.stash[STOP]
        stop()


def address(item: pytest.Item) -> list[str]:
    """Return the words that name a test in a command given in the folder of the call.

    For a test outside the project, such as a packaged suite, they also name the project's
    configuration file, which pytest would not find.
    """
    config = item.config
    path = os.path.relpath(item.path, config.invocation_params.dir)
    path = str(item.path) if path.startswith("..") else path
    words = [f"{path}::{item.nodeid.partition('::')[2]}"]
    if config.inipath and not item.path.is_relative_to(config.rootpath):
        words = ["-c", os.path.relpath(config.inipath, config.invocation_params.dir), *words]
    return words


def progress(config: pytest.Config) -> Progress:
    """Return what shows the progress of long work; with -q nothing is shown."""
    if config.getoption("verbose", 0) < 0:
        return Progress()
    progress = on_stderr(getattr(config, "workerinput", {}).get("workerid", ""))
    config.add_cleanup(progress.close)
    return progress

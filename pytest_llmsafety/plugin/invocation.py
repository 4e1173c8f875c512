"""The call of pytest: the folder that it was made in, how a test is named there, what is shown."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pytest_llmsafety.paths import count_from
from pytest_llmsafety.plugin.flags import started_in
from pytest_llmsafety.progress import Progress, on_stderr

if TYPE_CHECKING:
    from collections.abc import Callable

START: pytest.StashKey[Callable[[], None]] = pytest.StashKey()


def begin(config: pytest.Config) -> None:
    """Count relative paths from the folder of the call, wherever a test is later."""
    config.stash[START] = count_from(started_in(config))


def end(config: pytest.Config) -> None:
    """Count relative paths from wherever the process is again."""
    if forget := config.stash.get(START, None):
        del config.stash[START]
        forget()


def address(item: pytest.Item) -> list[str]:
    """Return words that lead pytest to a test from the directory that it was started in.

    A test outside the project, such as a packaged suite, would otherwise be run without the
    project's configuration file.
    """
    config = item.config
    path = os.path.relpath(item.path, config.invocation_params.dir)
    path = str(item.path) if path.startswith("..") else path
    words = [f"{path}::{item.nodeid.partition('::')[2]}"]
    if config.inipath and not item.path.is_relative_to(config.rootpath):
        words = ["-c", os.path.relpath(config.inipath, config.invocation_params.dir), *words]
    return words


def progress(config: pytest.Config) -> Progress:
    """Return what is shown of long work; with -q nothing."""
    if config.getoption("verbose", 0) < 0:
        return Progress()
    progress = on_stderr(getattr(config, "workerinput", {}).get("workerid", ""))
    config.add_cleanup(progress.close)
    return progress

"""pytest-xdist: the options and the cache of workers, their schedule, and crashed workers."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmsafety.plugin.collection import NAMED, compression_in, names_paths
from pytest_llmsafety.plugin.invocation import START

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_llmsafety.config.options import Options
    from pytest_llmsafety.session.results import SafetySession

CHOSEN = pytest.StashKey[bool]()
CACHE = "llmsafety_cache"


def chooses_distribution(config: pytest.Config) -> bool:
    """Return whether the user chose how xdist distributes tests, before xdist fills it in."""
    chosen = config.getoption("dist", "no") != "no"
    return chosen or bool(config.getoption("distload", default=False))


def worker_options(config: pytest.Config, options: Options) -> Options:
    """Return the options of a worker; in any other process, `options`."""
    given: dict[str, Any] | None = getattr(config, "workerinput", None)
    if given is None:
        return options
    number = re.search(r"\d+$", given["workerid"])
    cache = Path(given[CACHE]) if CACHE in given else None
    return options.for_worker(int(number[0]) if number else 0, given["workercount"], cache)


class XdistWorkers:
    """The hooks of xdist in a session with a model; all run on the controller."""

    def __init__(self, session: SafetySession) -> None:
        """Start without a shared folder."""
        self.session = session
        self._ids: Sequence[str] = ()
        self._folder: TemporaryDirectory[str] | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:  # noqa: ANN401 - xdist's worker
        """Give the workers of a run without a cache a shared one, deleted at the end."""
        node.workerinput[START] = str(node.config.invocation_params.dir)
        node.workerinput[NAMED] = names_paths(node.config)
        if self.session.options.cache is None:
            self._folder = self._folder or TemporaryDirectory(prefix="llmsafety-")
            node.workerinput[CACHE] = self._folder.name

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> object:  # noqa: ANN401
        """Keep the tests of one compression together, unless the user chose a distribution.

        Marks for `--dist=loadgroup` would do so, too, but they change the ids of tests in
        reports, in `--lf` and in the commands that repeat a test.
        """
        if config.stash.get(CHOSEN, False):
            return None
        from pytest_llmsafety.plugin.xdist_schedule import ByCompression

        return ByCompression(config, log, self.session.options.compressions)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Remember the order in which one process would run the tests."""
        self._ids = ids

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """Mark the report of a safety test that killed its worker as a gap."""
        if compression_in(crashitem, self.session.options.compressions):
            vars(report).update(llmsafety_undecided=False, llmsafety_gap="crashed")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Put the tests into that order, before Outcomes writes the reports."""
        self.session.arrange(self._ids)

    @pytest.hookimpl(tryfirst=True)
    def pytest_unconfigure(self) -> None:
        """Delete the shared folder."""
        if self._folder is not None:
            self._folder.cleanup()

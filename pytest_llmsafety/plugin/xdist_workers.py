"""pytest-xdist: who runs what, what the workers share, and what comes of one that dies."""

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
    """Whether the user said how xdist shares tests out; asked before xdist settles it."""
    asked = config.getoption("dist", "no") != "no", config.getoption("distload", default=False)
    return any(asked)


def worker_options(config: pytest.Config, options: Options) -> Options:
    """The options as a worker needs them; unchanged anywhere else."""
    given: dict[str, Any] | None = getattr(config, "workerinput", None)
    if given is None:
        return options
    number = re.search(r"\d+$", given["workerid"])
    cache = Path(given[CACHE]) if CACHE in given else None
    return options.for_worker(int(number[0]) if number else 0, given["workercount"], cache)


class Workers:
    """Registered for a session with a model; only the controller has something to share."""

    def __init__(self, session: SafetySession) -> None:
        """Share nothing yet."""
        self.session = session
        self._ids: Sequence[str] = ()
        self._folder: TemporaryDirectory[str] | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:  # noqa: ANN401 - xdist's worker
        """Let the workers of a run without a cache share one that is gone when it ends."""
        node.workerinput[START] = str(node.config.invocation_params.dir)
        node.workerinput[NAMED] = names_paths(node.config)
        if self.session.options.cache is None:
            self._folder = self._folder or TemporaryDirectory(prefix="llmsafety-")
            node.workerinput[CACHE] = self._folder.name

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> object:  # noqa: ANN401
        """Keep the tests of one compression together, unless the user said otherwise.

        Marks for `--dist=loadgroup` would do so too, but they change the ids of the tests, in
        reports, in `--lf` and in the commands that reproduce a verdict.
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
        """Tell a safety test that killed its worker from the project's other tests."""
        if compression_in(crashitem, self.session.options.compressions):
            vars(report).update(llmsafety_undecided=False, llmsafety_gap="crashed")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Report the tests in that order; `Outcomes`, registered earlier, hears of it later."""
        self.session.arrange(self._ids)

    @pytest.hookimpl(tryfirst=True)
    def pytest_unconfigure(self) -> None:
        """Remove what the workers shared."""
        if self._folder is not None:
            self._folder.cleanup()

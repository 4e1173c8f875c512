"""Find the safety tests, run each once per compression, and check the model before the first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_llmsafety.config.marker import MARKER
from pytest_llmsafety.errors import LlmSafetyError
from pytest_llmsafety.escapes import plain
from pytest_llmsafety.plugin.marker import parameters
from pytest_llmsafety.redaction import without_access

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from pytest_llmsafety.session.results import SafetySession
    from pytest_llmsafety.specs import CompressionSpec

PATHS = pytest.StashKey[bool]()
"""Whether there are paths on the command line itself."""
NAMED = "llmsafety_named"
COMPRESSION = "llmsafety_compression"
REASON = "a safety test needs --model and --compress"
PACKAGE = Path(__file__).resolve().parents[1]
SUITES = PACKAGE / "suites" if (PACKAGE / "suites").is_dir() else PACKAGE.parent / "suites"


def is_safety_test(item: pytest.Item) -> bool:
    """Return whether a test depends on the fixture `measure`, `model_pair` or `ask_both`."""
    return COMPRESSION in getattr(item, "fixturenames", ())


def mark(items: Sequence[pytest.Item]) -> None:
    """Add the marker to every safety test."""
    for item in items:
        if is_safety_test(item):
            item.add_marker(MARKER)


def compression_in(nodeid: str, specs: Sequence[CompressionSpec]) -> str:
    """Return the compression in the id of a safety test; empty where there is none.

    The controller of xdist knows nothing else of a test. pytest writes ids in ASCII.
    """
    shown = f"-{nodeid.partition('[')[2].removesuffix(']')}-"
    names = [
        name for spec in specs for name in (str(spec), str(spec).encode("unicode_escape").decode())
    ]
    return max((name for name in names if f"-{name}-" in shown), key=len, default="")


def names_paths(config: pytest.Config) -> bool:
    """Return whether the user named paths; addopts and testpaths of the project do not count."""
    given = getattr(config, "workerinput", {}).get(NAMED)
    if given is not None:
        return bool(given)
    return config.args_source is pytest.Config.ArgsSource.ARGS and config.stash.get(PATHS, True)


class Suite(pytest.Module):
    """A file of the packaged suites; the project's python_functions do not apply to it."""

    def funcnamefilter(self, name: str) -> bool:
        """Return whether a function of this name is a test."""
        return name.startswith("test_")

    def classnamefilter(self, name: str) -> bool:
        """Return whether a class of this name holds tests."""
        return name.startswith("Test")


class Collection:
    """The hooks that collect the tests of a session with a model."""

    def __init__(self, config: pytest.Config, session: SafetySession) -> None:
        """Add the packaged suites unless the user named paths."""
        self.session = session
        self.is_worker = hasattr(config, "workerinput")
        self.with_suites = not names_paths(config)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Add the packaged suites to a session without paths, and find them nowhere else."""
        report = yield
        if not report.passed:
            return report
        if self.with_suites and not _in_suites(collector):
            report.result = [node for node in report.result or () if not _in_suites(node)]
            if isinstance(collector, pytest.Session):
                report.result += _suite_modules(collector)
        elif not self.with_suites and collector.path == SUITES:
            found = list(report.result or ())
            known = {node.path for node in found}
            report.result = found + [
                Suite.from_parent(collector, path=path)
                for path in _suite_files()
                if path not in known
            ]
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makemodule(
        self, module_path: Path, parent: pytest.Collector
    ) -> Suite | None:
        """Collect a file of the packaged suites whose path the user gave as a Suite."""
        if module_path.parent == SUITES and module_path.name.startswith("test_"):
            return Suite.from_parent(parent, path=module_path)
        return None

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each safety test once per compression, which its id shows."""
        if COMPRESSION in metafunc.fixturenames:
            try:
                found = parameters(metafunc.definition, self.session.options.compressions)
            except LlmSafetyError as error:
                message = plain(f"{metafunc.definition.nodeid}: {error}")
                raise pytest.Collector.CollectError(message) from None
            metafunc.parametrize(COMPRESSION, found, indirect=True)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Raise UsageError where the project's own fixture `measure` hides ours from the suites."""
        for item in items:
            if _in_suites(item) and not is_safety_test(item):
                message = (
                    "this project has its own fixture `measure`, which hides ours from the "
                    "packaged suites. Rename it, or name the tests to run."
                )
                raise pytest.UsageError(message)

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Count the safety tests that -k and others leave out."""
        self.session.baseline_update.deselected += sum(map(is_safety_test, items))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Check the model before the first test."""
        option = session.config.option
        browsing = option.collectonly or option.setupplan
        idle = self.is_worker or session.testsfailed or browsing
        if not idle and any(map(is_safety_test, session.items)):
            self.preflight()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Check the model before a worker of xdist starts."""
        specs = self.session.options.compressions
        if any(compression_in(nodeid, specs) for nodeid in ids):
            self.preflight()

    def preflight(self) -> None:
        """Check the model and every name that the user gave; raise UsageError for a mistake."""
        try:
            self.session.preflight()
        except LlmSafetyError as error:
            raise pytest.UsageError(plain(without_access(str(error)))) from None


def _in_suites(node: pytest.Item | pytest.Collector) -> bool:
    return SUITES in (node.path, *node.path.parents)


def _suite_files() -> list[Path]:
    return sorted(SUITES.glob("test_*.py"))


def _suite_modules(session: pytest.Session) -> list[Suite]:
    """The files of the packaged suites, with node ids that `pytest NODEID` finds again."""
    modules = []
    for path in _suite_files():
        inside = path.is_relative_to(session.config.rootpath)
        place = path.relative_to(session.config.rootpath) if inside else path
        modules.append(Suite.from_parent(session, path=path, nodeid=place.as_posix()))
    return modules

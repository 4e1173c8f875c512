"""pytest's way in: the fixtures, and the hooks of each session by what was asked for."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from pytest_llmsafety.errors import LlmSafetyError
from pytest_llmsafety.escapes import plain
from pytest_llmsafety.plugin import flags, invocation, marker
from pytest_llmsafety.plugin.baseline_exchange import Sharing
from pytest_llmsafety.plugin.collection import PATHS, Selection, mark
from pytest_llmsafety.plugin.completeness import Whole
from pytest_llmsafety.plugin.doctor_flag import Examining
from pytest_llmsafety.plugin.outcomes import Outcomes
from pytest_llmsafety.plugin.signals import Signals
from pytest_llmsafety.plugin.unmeasured import not_a_parameter, not_decided
from pytest_llmsafety.plugin.verdict_recorder import HEARING
from pytest_llmsafety.plugin.without_model import Skipping
from pytest_llmsafety.plugin.xdist_workers import (
    CHOSEN,
    Workers,
    chooses_distribution,
    worker_options,
)
from pytest_llmsafety.redaction import without_access
from pytest_llmsafety.session.results import SafetySession

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from pytest_llmsafety.measurements.ask_both import AskBoth
    from pytest_llmsafety.measurements.harness.choice import Cluster, Groups
    from pytest_llmsafety.measurements.lazy_measurement import LazyMeasurement
    from pytest_llmsafety.session.resources import Resources
    from pytest_llmsafety.specs import CompressionSpec, ModelPair

SESSION = pytest.StashKey[SafetySession]()
SHORT: pytest.StashKey[Sequence[str]] = pytest.StashKey()
PARSER: pytest.StashKey[pytest.Parser] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flags."""
    flags.add_flags(parser)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None]:
    """Add the short flags, after the project's own conftest files."""
    flags.forget_stray_paths(early_config, parser, args)
    flags.know_profile(early_config)
    yield
    early_config.stash[PARSER] = parser
    early_config.stash[SHORT] = flags.add_short_flags(parser, args)
    early_config.stash[PATHS] = flags.has_paths(early_config, parser)
    early_config.pluginmanager.register(Examining())


def pytest_configure(config: pytest.Config) -> None:
    """Withdraw the short flags, which are parsed by now; make the marker known."""
    marker.add_marker(config)
    if PARSER in config.stash:
        flags.withdraw_short_flags(config.stash[PARSER], config.stash[SHORT])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let -m llmsafety choose the safety tests."""
    mark(items)


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, object, object]:
    """See what the user wrote about xdist before xdist fills in the rest."""
    config.stash[CHOSEN] = chooses_distribution(config)
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Read the options; register the hooks of a session with or without a model."""
    config = session.config
    invocation.begin(config)
    try:
        options = flags.read_options(config, config.stash.get(SHORT, []))
    except LlmSafetyError as error:
        raise pytest.UsageError(plain(without_access(str(error)))) from None
    if options.model is None:
        invocation.end(config)
        config.pluginmanager.register(Skipping(config))
        return
    options = worker_options(config, options)
    command = without_access(shlex.join(["pytest", *map(str, config.invocation_params.args)]))
    safety = SafetySession(options, invocation.progress(config), command=command)
    config.stash[SESSION] = safety
    config.pluginmanager.register(Selection(config, safety))
    signals = Signals(config)
    config.pluginmanager.register(signals)
    config.pluginmanager.register(Outcomes(config, safety, signals))
    config.pluginmanager.register(Whole(config, safety, signals))
    config.pluginmanager.register(Workers(safety))
    if options.baseline:
        config.pluginmanager.register(Sharing(config, safety))


def pytest_report_header(config: pytest.Config) -> str | None:
    """Name the file that the settings come from, where there are any."""
    told = flags.policy_line(config)
    return told if SESSION in config.stash or flags.policy(config) else None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Count relative paths from wherever the process is again."""
    invocation.end(config)


@pytest.fixture(scope="session")
def llmsafety_resources(pytestconfig: pytest.Config) -> Resources:
    """The resources of this session."""
    return pytestconfig.stash[SESSION].resources


@pytest.fixture(scope="session")
def llmsafety_compression(request: pytest.FixtureRequest) -> CompressionSpec:
    """One compression of --compress; a safety test is one that depends on this."""
    if not hasattr(request, "param"):
        not_a_parameter(with_model=SESSION in request.config.stash)
    spec: CompressionSpec = request.param
    return spec


@pytest.fixture(scope="session")
def model_pair(llmsafety_compression: CompressionSpec, llmsafety_resources: Resources) -> ModelPair:
    """The dense and the compressed model, as values without weights."""
    return llmsafety_resources.pair(llmsafety_compression)


@pytest.fixture(scope="session")
def ask_both(llmsafety_compression: CompressionSpec, llmsafety_resources: Resources) -> AskBoth:
    """Ask both models one prompt: `ask_both(text)` to go on, `ask_both(text, options)` to choose.

    The answers come from the cache where it has them.
    """
    return llmsafety_resources.ask_both(llmsafety_compression)


@pytest.fixture
def measure(
    llmsafety_compression: CompressionSpec,
    llmsafety_resources: Resources,
    request: pytest.FixtureRequest,
) -> Callable[..., LazyMeasurement]:
    """Measure both models: `measure("toxicity")`, or `measure("bbq", dataset="phantom-bbq")`.

    Items are asked when an assertion needs them; `.all()` asks every one of them. `metric`,
    `groups`, `cluster` and `support` are for tasks of lm-evaluation-harness (`lm_eval:TASK`).
    `shots=5` puts five solved examples of the data set before each prompt.
    Without its data set or scorer the test ends as INCONCLUSIVE, and says why.
    """
    options = request.config.stash[SESSION].options.under(marker.override(request.node))
    command = options.command(invocation.address(request.node), llmsafety_compression)
    pair = llmsafety_resources.pair(llmsafety_compression)

    def make(
        name: str,
        *,
        dataset: str | None = None,
        scorer: str | None = None,
        shots: int | None = None,
        metric: str = "",
        groups: Groups | None = None,
        cluster: Cluster | None = None,
        support: tuple[float, float] | None = None,
    ) -> LazyMeasurement:
        from pytest_llmsafety.measurements.harness.choice import Choice, check_choice, is_task

        choice = Choice(metric, groups, cluster, support)
        check_choice(name, choice, {"dataset": dataset, "scorer": scorer, "shots": shots})
        with not_decided(name, pair, dataset=dataset or "", reproduce=command):
            if is_task(name):
                made = llmsafety_resources.measure_task(
                    name, llmsafety_compression, choice, reproduce=command, options=options
                )
            else:
                made = llmsafety_resources.measure(
                    name,
                    llmsafety_compression,
                    dataset=dataset,
                    scorer=scorer,
                    shots=shots,
                    reproduce=command,
                    options=options,
                )
        request.node.stash[HEARING].made.append(made)
        return made

    return make

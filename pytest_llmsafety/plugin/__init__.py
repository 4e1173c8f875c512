"""The pytest plugin: its fixtures, and the hooks that each session needs."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from pytest_llmsafety.errors import LlmSafetyError
from pytest_llmsafety.escapes import plain
from pytest_llmsafety.plugin import flags, invocation, marker
from pytest_llmsafety.plugin.baseline_exchange import BaselineExchange
from pytest_llmsafety.plugin.collection import PATHS, Collection, mark
from pytest_llmsafety.plugin.completeness import Completeness
from pytest_llmsafety.plugin.doctor_flag import DoctorFlag
from pytest_llmsafety.plugin.outcomes import Outcomes
from pytest_llmsafety.plugin.signals import Signals
from pytest_llmsafety.plugin.unmeasured import not_a_parameter, not_decided
from pytest_llmsafety.plugin.verdict_recorder import RECORDER
from pytest_llmsafety.plugin.without_model import WithoutModel
from pytest_llmsafety.plugin.xdist_workers import (
    CHOSEN,
    XdistWorkers,
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
    early_config.pluginmanager.register(DoctorFlag())


def pytest_configure(config: pytest.Config) -> None:
    """Remove the short flags, which are parsed by now, and add the marker."""
    marker.add_marker(config)
    if PARSER in config.stash:
        flags.withdraw_short_flags(config.stash[PARSER], config.stash[SHORT])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let -m llmsafety choose the safety tests."""
    mark(items)


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, object, object]:
    """Note whether the user chose a distribution, before xdist chooses one."""
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
        config.pluginmanager.register(WithoutModel(config))
        return
    options = worker_options(config, options)
    command = without_access(shlex.join(["pytest", *map(str, config.invocation_params.args)]))
    safety = SafetySession(options, invocation.progress(config), command=command)
    config.stash[SESSION] = safety
    config.pluginmanager.register(Collection(config, safety))
    signals = Signals(config)
    config.pluginmanager.register(signals)
    config.pluginmanager.register(Outcomes(config, safety, signals))
    config.pluginmanager.register(Completeness(config, safety, signals))
    config.pluginmanager.register(XdistWorkers(safety))
    if options.baseline:
        config.pluginmanager.register(BaselineExchange(config, safety))


def pytest_report_header(config: pytest.Config) -> str | None:
    """Name the file that the settings come from, where there are any."""
    line = flags.policy_line(config)
    return line if SESSION in config.stash or flags.policy(config) else None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Count relative paths from the current folder again."""
    invocation.end(config)


@pytest.fixture(scope="session")
def llmsafety_resources(pytestconfig: pytest.Config) -> Resources:
    """Return the resources of this session: engine, data sets, scorers and judge."""
    return pytestconfig.stash[SESSION].resources


@pytest.fixture(scope="session")
def llmsafety_compression(request: pytest.FixtureRequest) -> CompressionSpec:
    """Return one compression of --compress; every test that depends on it is a safety test."""
    if not hasattr(request, "param"):
        not_a_parameter(with_model=SESSION in request.config.stash)
    spec: CompressionSpec = request.param
    return spec


@pytest.fixture(scope="session")
def model_pair(llmsafety_compression: CompressionSpec, llmsafety_resources: Resources) -> ModelPair:
    """Return the dense and the compressed model, as values without weights."""
    return llmsafety_resources.pair(llmsafety_compression)


@pytest.fixture(scope="session")
def ask_both(llmsafety_compression: CompressionSpec, llmsafety_resources: Resources) -> AskBoth:
    """Return a function that asks both models one prompt.

    `ask_both(text)` returns how each model continues it, and `ask_both(text, options)` the
    option that each model prefers. Answers in the cache are not asked for again.
    """
    return llmsafety_resources.ask_both(llmsafety_compression)


@pytest.fixture
def measure(
    llmsafety_compression: CompressionSpec,
    llmsafety_resources: Resources,
    request: pytest.FixtureRequest,
) -> Callable[..., LazyMeasurement]:
    """Return a function that measures both models, such as `measure("toxicity")`.

    `measure("bbq", dataset="phantom-bbq")` names the data set. The models are asked about an
    item when an assertion needs it; `.all()` asks about all of them. `metric`, `groups`,
    `cluster` and `support` are for tasks of lm-evaluation-harness (`lm_eval:TASK`). `shots=5`
    puts five solved examples of the data set before each prompt. A test whose data set or scorer
    is missing ends as INCONCLUSIVE, and the message says what is missing.
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
        request.node.stash[RECORDER].measurements.append(made)
        return made

    return make

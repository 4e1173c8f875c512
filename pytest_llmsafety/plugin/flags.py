"""The flags as pytest sees them: long ones always, short ones where the name is free."""

from __future__ import annotations

import argparse
import os
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.config.options import BOTH, FLAGS, TABLE, Options
from pytest_llmsafety.config.pyproject import (
    FILE,
    REQUIRE,
    check_sections,
    check_toml,
    policy_files,
    read_project,
)
from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.plugin import internals
from pytest_llmsafety.plugin.invocation import started_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pytest

SHORT = {flag.name: flag for flag in FLAGS if flag.short}
OF_PYTEST = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg")
"""Files that pytest looks for its settings in, besides pyproject.toml."""
BROWSING = ("collectonly", "showfixtures", "show_fixtures_per_test", "cacheshow")


def add_flags(parser: pytest.Parser) -> None:
    """Add the long flags and the ini key to pytest."""
    group = parser.getgroup("llmsafety", "safety of compressed language models")
    for flag in FLAGS:
        keywords = flag.for_argparse()
        if flag.short:
            keywords["help"] += f"; also --{flag.name}, where the project has no such flag"
        group.addoption(flag.word, dest=f"llmsafety_{flag.field}", **keywords)
    parser.addini(
        REQUIRE,
        "a run without --model is an error, for CI that must not forget it",
        type="bool",
        default=False,
    )


def add_short_flags(parser: pytest.Parser, args: Sequence[str]) -> list[str]:
    """Add those short flags that are in `args` and that nobody has defined by now.

    Called after the first conftest files were loaded, so that a project's own flag comes
    first. Returns the names that were added.
    """
    group = parser.getgroup("llmsafety")
    added = _undefined(parser, args)
    for name in added:
        keywords = {**SHORT[name].for_argparse(), "help": argparse.SUPPRESS}
        group.addoption(f"--{name}", dest=f"llmsafety_{name}", **keywords)
    return added


def has_paths(config: pytest.Config, parser: pytest.Parser) -> bool:
    """Return whether the command line, without the project's addopts, names tests."""
    words = [*map(str, config.invocation_params.args)]
    return bool(parser.parse_known_args(words).file_or_dir)


def know_profile(config: pytest.Config) -> None:
    """Have hypothesis know the profile that `--hypothesis-profile=llmsafety` names."""
    if getattr(config.known_args_namespace, "hypothesis_profile", None) == "llmsafety":
        import pytest_llmsafety.strategies.profile  # noqa: F401 - importing it registers it


def withdraw_short_flags(parser: pytest.Parser, names: Sequence[str]) -> None:
    """Remove the short flags once they are parsed.

    A conftest in a sub-folder is loaded during collection only; it may still define its own.
    """
    for name in names:
        internals.remove_flag(parser, f"--{name}")


def forget_stray_paths(config: pytest.Config, parser: pytest.Parser, args: Sequence[str]) -> None:
    """Drop `X` of `--model X` from what pytest takes for test paths before it knows the flag.

    Otherwise it would look for the first conftest files next to the model, not in the project.
    """
    flags = [f"--{name}" for name in _undefined(parser, args)]
    internals.forget_test_paths(config, [*_values_after_a_space(args, flags)])


def read_options(config: pytest.Config, short: Sequence[str]) -> Options:
    """Return the options of a run; `short` are the short flags that are ours.

    Raises ConfigurationError for what cannot be done as written.
    """
    _check_configuration_file(config)
    _check_owner(config, short)
    prefix = "--" if {"model", "compress"} <= {*short} else "--llmsafety-"
    options = Options.parse(given(config), project=project(config), prefix=prefix)
    if options.family == "session" and config.getoption("maxfail"):
        message = (
            "--llmsafety-family=session needs every assertion of the session, and -x or --maxfail "
            "ends it early. Leave one of them out."
        )
        raise ConfigurationError(message)
    browsing = any(config.getoption(name, default=False) for name in BROWSING)
    if options.model is None and config.getini(REQUIRE) and not browsing:
        message = (
            f"{REQUIRE} is set, so a run needs a model and a compression. "
            f"Give both, such as: {BOTH}"
        )
        raise ConfigurationError(message)
    return options


def given(config: pytest.Config) -> dict[str, Any]:
    """Return the values of the command line by flag name; None and False are not given."""
    return {flag.name: config.getoption(f"llmsafety_{flag.field}") for flag in FLAGS}


def project(config: pytest.Config) -> dict[str, Any]:
    """Return the values that pyproject.toml states, wherever pytest has its own settings."""
    return read_project(next(iter(policy(config)), config.rootpath / FILE))


def _check_owner(config: pytest.Config, short: Sequence[str]) -> None:
    """Say so where one of the pair is a flag of the project's own, and so does not reach us."""
    for ours, other in (("model", "compress"), ("compress", "model")):
        given = config.getoption(f"--{ours}", default=None) if ours not in short else None
        asked = config.getoption(f"llmsafety_{other}") is not None
        if given is not None and asked and config.getoption(f"llmsafety_{ours}") is None:
            message = (
                f"--{ours} belongs to this project, so pytest-llmsafety did not get it. "
                f"Use --llmsafety-{ours}."
            )
            raise ConfigurationError(message)


def _undefined(parser: pytest.Parser, args: Sequence[str]) -> list[str]:
    """Return the short flags in `args` that no one has defined."""
    unknown = parser.parse_known_and_unknown_args(args)[1]
    given = {flag.partition("=")[0] for flag in unknown}
    # argparse takes an unknown flag for a path where its value has a blank
    blank = {arg.partition("=")[0] for arg in args if " " in arg}
    given |= {flag for flag in blank if not internals.is_defined(parser, flag)}
    return [name for name in SHORT if f"--{name}" in given]


def policy(config: pytest.Config) -> list[Path]:
    """Return the files with the table of the project; the first is read, wherever pytest's is.

    Looked for in the folder of the call and above it, then where pytest has its own settings.
    Raises ConfigurationError for a table or section that is spelled otherwise.
    """
    start, ini = started_in(config), config.inipath
    folders = dict.fromkeys([start, config.rootpath])
    others = [ini] if ini else []
    others += [folder / name for folder in folders for name in OF_PYTEST]
    for path in dict.fromkeys(others):
        if path.is_file() and path.name != FILE:
            (check_toml if path.suffix == ".toml" else check_sections)(path)
    own = [ini] if ini and ini.name == FILE else []
    return policy_files(start, [*own, config.rootpath / FILE])


def looks_around(config: pytest.Config) -> bool:
    """Whether pytest only shows tests or fixtures, and runs none."""
    names = (*BROWSING, "setupplan", "setuponly")
    return any(config.getoption(name, default=False) for name in names)


def policy_line(config: pytest.Config) -> str:
    """Say which file the settings of a run come from."""
    found = [Path(os.path.relpath(path, started_in(config))).as_posix() for path in policy(config)]
    if not found:
        return f"llmsafety: no {TABLE} in a {FILE} here, above or at pytest's root"
    others = f" (not read: {', '.join(found[1:])})" if found[1:] else ""
    return f"llmsafety: {TABLE} of {found[0]}{others}"


def _check_configuration_file(config: pytest.Config) -> None:
    """Refuse `--model ../X` where it made pytest miss the project's configuration file.

    pytest looks for that file before it knows any plugin's flag and takes `../X` for a test
    path. Margins and other settings of the project would be ignored without a word.
    """
    flags = [f"--{name}" for name in SHORT]
    flags += [flag.word for flag in FLAGS if not flag.switch]
    args = config.invocation_params.args
    strays = [v for v in _values_after_a_space([*map(str, args)], flags) if Path(v).exists()]
    if not strays:
        return
    expected = internals.configuration_file(config)
    if expected != config.inipath:
        message = (
            f"pytest took '{strays[0]}' for a test path and read its configuration from "
            f"{config.inipath or 'nowhere'}, not from {expected or 'nowhere'}. "
            f"Write it with '=', as in --model={strays[0]}"
        )
        raise ConfigurationError(message)


def _values_after_a_space(args: Sequence[str], flags: Sequence[str]) -> Iterator[str]:
    """Yield `X` for each `--flag X`."""
    for flag, value in pairwise(args):
        if flag in flags:
            yield value

"""The flags as pytest sees them: long ones always, short ones where the name is free."""

from __future__ import annotations

import argparse
import os
import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.config.options import BOTH, FLAGS, OFF, REPEATED, SWITCHES, Options
from pytest_llmsafety.config.pyproject import (
    FILE,
    REQUIRE,
    TABLE,
    check_sections,
    check_toml,
    policy_files,
    read_project,
)
from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.specs import DENSE, PHANTOM

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pytest

SHORT = ("model", "compress", "device", "dtype")
FREE = object()
START = "llmsafety_start"
OF_PYTEST = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg")
"""Files that pytest looks for its settings in, besides pyproject.toml."""
BROWSING = ("collectonly", "showfixtures", "show_fixtures_per_test", "cacheshow")


def add_flags(parser: pytest.Parser) -> None:
    """Register the long flags and the ini key."""
    group = parser.getgroup("llmsafety", "safety of compressed language models")
    for name, text in FLAGS.items():
        short = f" (also --{name}, unless the project has a flag of that name)"
        if name in SWITCHES:
            group.addoption(f"--llmsafety-{name}", action="store_true", help=text)
            continue
        group.addoption(
            f"--llmsafety-{name}",
            action="append" if name in REPEATED else "store",
            metavar=name.upper().replace("-", "_"),
            help=text + short if name in SHORT else text,
        )
    parser.addini(
        REQUIRE,
        "a run without --model is an error, for CI that must not forget it",
        type="bool",
        default=False,
    )


def add_short_flags(parser: pytest.Parser, args: Sequence[str]) -> list[str]:
    """Register those short flags that are in `args` and that nobody has defined by now.

    Called after the first conftest files were loaded, so that a project's own flag comes
    first. Returns the names that were added.
    """
    group = parser.getgroup("llmsafety")
    added = _undefined(parser, args)
    for name in added:
        group.addoption(f"--{name}", dest=f"llmsafety_{name}", help=argparse.SUPPRESS)
    return added


def has_paths(config: pytest.Config, parser: pytest.Parser) -> bool:
    """Whether the command line names tests, apart from what addopts of the project add to it."""
    words = [*map(str, config.invocation_params.args)]
    return bool(parser.parse_known_args(words).file_or_dir)


def know_profile(config: pytest.Config) -> None:
    """Have hypothesis know the profile that `--hypothesis-profile=llmsafety` names."""
    if getattr(config.known_args_namespace, "hypothesis_profile", None) == "llmsafety":
        import pytest_llmsafety.strategies.profile  # noqa: F401 - importing it registers it


def withdraw_short_flags(parser: pytest.Parser, names: Sequence[str]) -> None:
    """Forget the short flags once they are parsed.

    A conftest in a sub-folder is loaded during collection only; it may still define its own.
    """
    argparser: Any = parser.optparser
    for flag in (f"--{name}" for name in names):
        # What argparse itself does under conflict_handler="resolve"; it has no public way.
        argparser._handle_conflict_resolve(None, [(flag, argparser._option_string_actions[flag])])  # noqa: SLF001


def forget_stray_paths(config: pytest.Config, parser: pytest.Parser, args: Sequence[str]) -> None:
    """Drop `X` of `--model X` from what pytest takes for test paths before it knows the flag.

    Otherwise it would look for the first conftest files beside the model, not in the project.
    """
    paths = config.known_args_namespace.file_or_dir
    flags = [f"--{name}" for name in _undefined(parser, args)]
    for value in _values_after_a_space(args, flags):
        if value in paths:
            paths.remove(value)


def read_options(config: pytest.Config, short: Sequence[str]) -> Options:
    """Build the options of a run; ConfigurationError says what cannot be done as written."""
    _check_configuration_file(config)
    _check_owner(config, short)
    prefix = "--" if {"model", "compress"} <= {*short} else "--llmsafety-"
    options = _parsed(_given(config), read_project(_project_file(config)), prefix)
    if options.family == "session" and config.getoption("maxfail"):
        message = (
            "--llmsafety-family=session needs every assertion of the session, and -x or --maxfail "
            "ends it early. Leave one of them out."
        )
        raise ConfigurationError(message)
    browsing = any(config.getoption(name, default=False) for name in BROWSING)
    if options.model is None and config.getini(REQUIRE) and not browsing:
        message = (
            "llmsafety_require is set, so a run needs a model and a compression. "
            f"Give both, such as: {BOTH}"
        )
        raise ConfigurationError(message)
    return options


def what_is_missing(config: pytest.Config) -> str:
    """Why a run has no pair of models, and the command that has one, in flags that are ours."""
    taken = [config.getoption(f"--{name}", FREE) is not FREE for name in ("model", "compress")]
    prefix = "--llmsafety-" if any(taken) else "--"
    stated = read_project(_project_file(config))
    if stated.get("model", OFF) != OFF and "compress" not in stated:
        why, given = (
            f"{TABLE} of pyproject.toml names a model and no compression",
            f"{prefix}compress=int4",
        )
    elif "compress" in stated:
        why, given = (
            f"{TABLE} of pyproject.toml names a compression and no model",
            f"{prefix}model=phantom",
        )
    else:
        why, given = "no model was given", BOTH.partition(" ")[2].replace("--", prefix)
    return f"{why}. To run them: pytest {given}"


def examination(config: pytest.Config) -> list[str] | None:
    """What --llmsafety-doctor prints; None where it was not asked for.

    A model needs no compression here, and none need be named. Raises ConfigurationError.
    """
    given = _given(config)
    if not given["doctor"]:
        return None
    from pytest_llmsafety.session.doctor import examine

    project = read_project(_project_file(config))
    model = given["model"] or project.get("model", OFF)
    asked = {"model": PHANTOM if model == OFF else model, "compress": DENSE}
    return examine(_parsed({**given, **asked}, project), with_model=model != OFF)


def _given(config: pytest.Config) -> dict[str, Any]:
    """What the command line says, by flag name."""
    return {name: config.getoption(f"llmsafety_{name.replace('-', '_')}") for name in FLAGS}


def _parsed(given: dict[str, Any], project: dict[str, Any], prefix: str = "--") -> Options:
    """The options; an error about a setting of the project says where it stands."""
    try:
        return Options.parse(given, project=project, prefix=prefix)
    except ConfigurationError as error:
        raise ConfigurationError(_placed(str(error), given, project)) from error


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
    argparser: Any = parser.optparser
    defined = argparser._option_string_actions  # noqa: SLF001 - it has no public way
    # argparse takes an unknown flag for a path where its value has a blank
    given |= {arg.partition("=")[0] for arg in args if " " in arg} - defined.keys()
    return [name for name in SHORT if f"--{name}" in given]


def started_in(config: pytest.Config) -> Path:
    """Return the folder that pytest was started in; a worker is told that of the controller."""
    given: dict[str, Any] = getattr(config, "workerinput", {})
    return Path(given.get(START, config.invocation_params.dir))


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
    beside = [ini] if ini and ini.name == FILE else []
    return policy_files(start, [*beside, config.rootpath / FILE])


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


def _project_file(config: pytest.Config) -> Path:
    """The pyproject.toml that counts, whether or not pytest takes its own settings from it."""
    return next(iter(policy(config)), config.rootpath / FILE)


def _placed(message: str, given: dict[str, Any], project: dict[str, Any]) -> str:
    """The message about a flag; where the project states it and not the command line, says so."""
    found = re.match(r"--(?:llmsafety-)?([a-z-]+)", message)
    name = found[1] if found else ""
    stated = name in project and given.get(name) is None
    return f"{message} ({name} stands in {TABLE} of pyproject.toml)" if stated else message


def _check_configuration_file(config: pytest.Config) -> None:
    """Refuse `--model ../X` where it made pytest miss the project's configuration file.

    pytest looks for that file before it knows any plugin's flag and takes `../X` for a test
    path. Margins and other settings of the project would be ignored without a word.
    """
    flags = [f"--{name}" for name in SHORT]
    flags += [f"--llmsafety-{name}" for name in FLAGS if name not in SWITCHES]
    args = config.invocation_params.args
    strays = [v for v in _values_after_a_space([*map(str, args)], flags) if Path(v).exists()]
    if not strays:
        return
    import inspect

    from _pytest.config.findpaths import determine_setup

    question = {
        "inifile": config.option.inifilename,
        "override_ini": config.option.override_ini,
        "args": config.option.file_or_dir,
        "rootdir_cmd_arg": config.option.rootdir,
        "invocation_dir": config.invocation_params.dir,
    }
    known = inspect.signature(determine_setup).parameters  # pytest 8.4 has no override_ini
    _, expected, *_ = determine_setup(**{k: v for k, v in question.items() if k in known})
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

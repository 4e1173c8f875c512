"""All that the plugin uses of pytest and argparse that is not public, and why it must."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest


def is_defined(parser: pytest.Parser, flag: str) -> bool:
    """Return whether a conftest or a plugin has added `flag`."""
    argparser: Any = parser.optparser
    return flag in argparser._option_string_actions  # noqa: SLF001 - argparse has no public way


def remove_flag(parser: pytest.Parser, flag: str) -> None:
    """Remove a flag from the parser, as argparse does under conflict_handler="resolve"."""
    argparser: Any = parser.optparser
    action = argparser._option_string_actions[flag]  # noqa: SLF001
    argparser._handle_conflict_resolve(None, [(flag, action)])  # noqa: SLF001


def forget_test_paths(config: pytest.Config, values: Sequence[str]) -> None:
    """Remove `values` from what pytest takes for test paths when it looks for conftest files."""
    paths = config.known_args_namespace.file_or_dir
    for value in values:
        if value in paths:
            paths.remove(value)


def configuration_file(config: pytest.Config) -> Path | None:
    """Return the file that pytest would read its settings from, now that it knows all flags."""
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
    return determine_setup(**{name: question[name] for name in question if name in known})[1]


def skipped_files_by_last_failed(config: pytest.Config) -> int:
    """Return how many files --lf did not collect; a skipped file leaves no other trace."""
    plugin = config.pluginmanager.get_plugin("lfplugin")
    return int(getattr(plugin, "_skipped_files", 0))

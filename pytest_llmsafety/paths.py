"""Paths that a user gives, and files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmsafety.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

PARTIAL = ".partial"
"""The end of the name of a file that is being written."""
CACHE_FILE = "answers.sqlite"
MODELS_FOLDER = "models"
"""In the folder of --llmsafety-cache: the file of answers, and the folder of compressed models."""

_start: list[Path] = []
"""The folders in which runs were started, the innermost last; a test may change the current one."""


def count_from(folder: Path) -> Callable[[], None]:
    """Count the user's relative paths from `folder` until the returned function is called."""
    _start.append(folder)
    return lambda: _start.remove(folder)


def start_folder() -> Path:
    """Return the folder from which the user's relative paths count."""
    return _start[-1] if _start else Path.cwd()


def as_given(path: Path) -> Path:
    """Return a path relative to the folder in which the run was started, if it lies below it."""
    start = start_folder()
    return path.relative_to(start) if path.is_relative_to(start) else path


def user_path(text: str | os.PathLike[str]) -> Path:
    """Return the path that the user wrote, with `~` replaced by their home folder.

    A relative path counts from the folder in which the run was started, also when a test changed
    the current folder. Raises ConfigurationError where the home folder is not known: some
    containers do not set HOME.
    """
    path = os.path.expanduser(text)  # noqa: PTH111 - Path.expanduser raises RuntimeError
    if path.startswith("~"):
        message = (
            f"'{text}' begins with ~, and no home folder of that user is known here. Give the "
            "whole path, or set HOME."
        )
        raise ConfigurationError(message)
    return _start[-1] / path if _start else Path(path)


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to a new file in the same folder and rename it, so that no reader sees half.

    A full disk or a killed process leaves the old file as it was. The permissions of an existing
    file and a symbolic link to it stay. Raises OSError.
    """
    place = path.resolve()
    with suppress(FileNotFoundError):
        if not place.is_file() and place.stat():
            message = f"'{path}' is neither a file nor absent"
            raise OSError(message)
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.", suffix=PARTIAL)
    new = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _keep_permissions(place, new)
        new.replace(place)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def _keep_permissions(old: Path, new: Path) -> None:
    """Give a new file the mode and owner of the replaced file, or the defaults of a new one."""
    try:
        stat = old.stat()
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        new.chmod(0o666 & ~mask)
        return
    new.chmod(stat.st_mode & 0o7777)
    if hasattr(os, "chown"):
        with suppress(OSError):  # only root may give files away
            os.chown(new, stat.st_uid, stat.st_gid)


def require_writable(folder: Path) -> None:
    """Make a folder. Raises OSError where no file can be written into it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass

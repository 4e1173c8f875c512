"""Files and folders that options name, read into paths."""

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
"""What is in the folder of --llmsafety-cache: answers, and compressed models."""


_start: list[Path] = []
"""The folder that this run was started in, innermost last; a test may change the current one."""


def count_from(folder: Path) -> Callable[[], None]:
    """Count relative paths from `folder` until the function that is returned is called."""
    _start.append(folder)
    return lambda: _start.remove(folder)


def start_folder() -> Path:
    """Return the folder that relative paths of the user count from."""
    return _start[-1] if _start else Path.cwd()


def as_given(path: Path) -> Path:
    """Return a path relative to the folder that the run was started in, where it lies below it."""
    start = start_folder()
    return path.relative_to(start) if path.is_relative_to(start) else path


def user_path(text: str | os.PathLike[str]) -> Path:
    """Return the path that the user wrote, `~` replaced by their home folder.

    A relative one counts from the folder that the run was started in, wherever a test is now.
    Raises ConfigurationError where nobody knows that folder: HOME is not set in some containers.
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
    """Put `content` in a file beside `path`, then rename it: no reader ever sees half of it.

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
    """Give a new file the mode and owner of the one that it replaces, or those of any new file."""
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
    """Make a folder; OSError where no file can be written into it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass

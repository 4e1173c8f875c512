"""Files and folders that options name, read into paths."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pytest_llmsafety.errors import ConfigurationError

CACHE_FILE = "answers.sqlite"
MODELS_FOLDER = "models"
"""What is in the folder of --llmsafety-cache: answers, and compressed models."""


def require_writable(folder: Path) -> None:
    """Make a folder; OSError where no file can be written into it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def read_cache(text: str | None) -> Path | None:
    """Read --llmsafety-cache; by default a folder beside the user's other caches."""
    if text == "off":
        return None
    if text:
        folder = Path(text).expanduser()
        if folder.exists() and not folder.is_dir():
            message = f"--llmsafety-cache: '{text}' is a file. Expected a folder, or off."
            raise ConfigurationError(message)
        return folder
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "pytest-llmsafety"


def read_report(text: str | None) -> Path | None:
    """Read --llmsafety-report, a folder that need not exist yet."""
    if text is None:
        return None
    folder = Path(text).expanduser()
    if folder.exists() and not folder.is_dir():
        message = f"--llmsafety-report: '{text}' is a file. Expected a folder."
        raise ConfigurationError(message)
    return folder


def read_file(name: str, text: str | None) -> Path | None:
    """Read a flag that names a file."""
    if text is None:
        return None
    path = Path(text).expanduser()
    if not path.is_file():
        message = f"--llmsafety-{name}: there is no file '{text}'."
        raise ConfigurationError(message)
    return path

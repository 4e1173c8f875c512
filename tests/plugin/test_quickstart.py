"""docs/quickstart.md, followed to the letter: its test, its commands, what they print."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.stand_ins.third_party_package import DOCS, blocks

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = re.compile(r"^pytest .*--model=phantom.*$", re.MULTILINE)
NUMBER = re.compile(r"\d+(\.\d+)?")


def test_the_commands_end_as_the_page_says(tmp_path: Path) -> None:
    """The first run fails with the message shown, the second is undecided and asks no model."""
    (code,), (shown,) = blocks("quickstart.md", "python"), blocks("quickstart.md", "text")
    tmp_path.joinpath("test_safety.py").write_text(code, "utf-8")
    first, second = (
        _run(command, tmp_path) for command in COMMAND.findall((DOCS / "quickstart.md").read_text())
    )
    assert first.returncode == 1, first.stdout
    assert _plain(shown.strip()) in _plain(first.stdout)
    assert "1 failed, 1 passed" in first.stdout
    assert second.returncode == 6, second.stdout
    assert "to decide with 80% (90%) power" in second.stdout


def _run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command of the page, with a cache of its own."""
    words = [sys.executable, "-m", *shlex.split(command)]
    return subprocess.run(  # noqa: S603 - the words of our own docs
        words, cwd=folder, env={**os.environ, "XDG_CACHE_HOME": str(folder / "cache")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def _plain(text: str) -> str:
    """The text without figures, which other versions of torch may move."""
    return NUMBER.sub("#", text)

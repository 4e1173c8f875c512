"""Write every registered report into one folder, each file whole or not at all."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.escapes import plain
from pytest_llmsafety.paths import require_writable, write_whole
from pytest_llmsafety.reports import REPORTS

if TYPE_CHECKING:
    from pytest_llmsafety.reports.run import Run

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
SUMMARY = "summary.md"


def check_folder(folder: Path) -> None:
    """Make the folder. Raises ConfigurationError where no file can be written into it."""
    try:
        require_writable(folder)
    except OSError as error:
        message = (
            f"--llmsafety-report: cannot write to {folder}: {error}. Expected a folder that can be "
            "written to. Name another folder."
        )
        raise ConfigurationError(message) from error


def has_reports(folder: Path) -> bool:
    """Return whether the folder holds a report of an earlier run."""
    return any((folder / REPORTS.load(name).file_name).exists() for name in REPORTS.names())


def begin_reports(folder: Path, run: Run) -> None:
    """Write report.json of a run that begins, and remove the other reports in the folder.

    So a killed run leaves no report of an earlier run behind. Raises OSError.
    """
    for name in REPORTS.names():
        report = REPORTS.load(name)()
        if name == "json":
            write_whole(folder / report.file_name, report.render(run).encode())
        else:
            (folder / report.file_name).unlink(missing_ok=True)


def write_reports(folder: Path, run: Run) -> list[Path]:
    """Write the reports of `run` into the folder, which is made, and return their paths.

    The JSON is written first, because it holds what the others show if one of them fails. In a
    step of GitHub Actions the Markdown for a pull request is added to the step's summary.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {}
    for name in sorted(REPORTS.names(), key=lambda name: name != "json"):
        report = REPORTS.load(name)()
        texts[report.file_name] = report.render(run)
        write_whole(folder / report.file_name, texts[report.file_name].encode())
    if os.environ.get(STEP_SUMMARY) and SUMMARY in texts:
        try:
            with Path(os.environ[STEP_SUMMARY]).open("a", encoding="utf-8") as file:
                file.write(texts[SUMMARY])
        except OSError as error:
            warning = plain(f"{STEP_SUMMARY}: the summary is not added: {error}")
            sys.stderr.write(f"\nWARNING: {warning}\n")
    return [folder / name for name in texts]

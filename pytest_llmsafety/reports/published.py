"""A run as the world may see it: files and folders by their names, not by where they lie."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_llmsafety.compressors.record import CompressionRecord
    from pytest_llmsafety.reports.run import Run, SafetyTest
    from pytest_llmsafety.verdict import Verdict

PATH = re.compile(
    r"(?<![^\s:,='\"(\[])"  # at the start of a word or of a value
    r"(?:(?:file|local)://|(?=[~./]|[A-Za-z]:[\\/]))"
    r"(?:(?:~[\w.-]*|\.{1,2})?/(?!/)|[A-Za-z]:[\\/])[^\s:,+'\"()]+"
)
"""A path that does not begin with a folder's name; no URL, and no fraction."""
PLACES = re.compile(
    r"--llmsafety-(?:(?:data|cache|baseline|calibration|scorer-accuracy)"
    r"=(?!core$|off$|hub:|(?!file:|local:)[a-z0-9]+://)|(?:scorer|judge)=(?=[~./]|[A-Za-z]:[\\/]))"
)
"""Flags whose value is a file or a folder of this machine."""


def named(text: str) -> str:
    """`text` with each path of this machine as the name of what lies there."""
    return PATH.sub(lambda path: re.split(r"[\\/]", path[0].rstrip("\\/"))[-1], text)


def command(text: str) -> str:
    """A command without the flags that name places of this machine, and its model by name."""
    try:
        words = shlex.split(text)
    except ValueError:
        return named(text)
    return shlex.join(_word(word) for word in words if not PLACES.match(word))


def of_run(run: Run) -> Run:
    """The run with names for paths in all that its model card tells."""
    return replace(
        run,
        tests=tuple(map(_test, run.tests)),
        settings=_pairs(run.settings),
        models=_pairs(run.models),
    )


def of_verdict(one: Verdict) -> Verdict:
    """A verdict with names for paths."""
    return replace(
        one,
        model=named(one.model),
        compression=named(one.compression),
        dataset=named(one.dataset),
        scorer=named(one.scorer),
        reasons=_all(one.reasons),
        assumptions=_all(one.assumptions),
        notes=_all(one.notes),
        record=one.record and _record(one.record),
        reproduce=command(one.reproduce),
    )


def _test(one: SafetyTest) -> SafetyTest:
    """A test with names for paths."""
    verdicts = tuple(map(of_verdict, one.verdicts))
    return replace(one, nodeid=named(one.nodeid), message=named(one.message), verdicts=verdicts)


def _record(one: CompressionRecord) -> CompressionRecord:
    """What a compressor did, with names for paths."""
    return replace(
        one,
        method=named(one.method),
        parameters=_pairs(one.parameters),
        calibration=_pairs(one.calibration),
        notes=_all(one.notes),
    )


def _word(word: str) -> str:
    """One word of a command; the value of a flag may be a path with blanks."""
    flag, equals, value = word.rpartition("=")
    blank = PATH.match(value) and " " in value and ":" not in value
    return flag + equals + (re.split(r"[\\/]", value)[-1] if blank else named(value))


def _all(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Each text with names for paths."""
    return tuple(map(named, texts))


def _pairs(rows: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Pairs of texts with names for paths."""
    return tuple((named(name), named(value)) for name, value in rows)

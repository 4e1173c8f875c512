"""The finished log of one model, from any harness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_llmsafety.measurements.harness.choice import Scale
    from pytest_llmsafety.types import Item, Score


@dataclass(frozen=True)
class Sample:
    """One document: its item, its score, and its inputs, which must be equal in the other log."""

    item: Item
    score: Score
    inputs: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Log:
    """The scores of one model, and how the log says that they were made.

    `model` is its name, `arguments` is how it was loaded, and `origin` describes the run. Entries
    of `setup` that are in both logs must be equal. Two logs with the same `run` are the same log.
    """

    source: str
    task: str
    model: str
    arguments: str
    origin: str
    setup: tuple[tuple[str, Any], ...]
    scale: Scale
    samples: tuple[Sample, ...]
    run: str = ""

"""A finished log of one model, whatever harness wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_llmsafety.measurements.harness.choice import Scale
    from pytest_llmsafety.types import Item, Score


@dataclass(frozen=True)
class Sample:
    """One document: the item, its score, and what must be equal in the other log."""

    item: Item
    score: Score
    asked: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Log:
    """What one model scored.

    `model` is its name, `arguments` how it was loaded and `told` where the scores come from, all
    as the log says it. What is in both logs' `setup` must be equal. `run` identifies the run: two
    logs with the same one are one log.
    """

    source: str
    task: str
    model: str
    arguments: str
    told: str
    setup: tuple[tuple[str, Any], ...]
    scale: Scale
    samples: tuple[Sample, ...]
    run: str = ""

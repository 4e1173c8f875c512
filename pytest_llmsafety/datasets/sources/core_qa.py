"""The package's closed-book questions: 260 facts of thirteen relations (docs/core.md)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.datasets.files import read_json
from pytest_llmsafety.types import QuestionItem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_llmsafety.datasets.base import DataSource

FILE = Path(__file__).with_name("core") / "qa.json"
TIERS = ("common", "rare")


@dataclass(frozen=True)
class CoreQA:
    """Ten well-known and ten less known facts of each relation, each of another subject.

    Groups are `relation:capital`, `tier:rare` and the like; there are no clusters.
    """

    name: ClassVar[str] = "core-qa"

    def load(self, source: DataSource) -> tuple[QuestionItem, ...]:
        """Return the questions; ids are `core-qa/<relation>/<subject>`."""
        return tuple(
            QuestionItem(
                f"{self.name}/{listed['relation']}/{subject}",
                f"Question: {listed['question'].format(subject)}\nAnswer:",
                (f"relation:{listed['relation']}", f"tier:{tier}"),
                answers=tuple(accepted(answers, listed.get("also", ()))),
            )
            for listed in read_json(FILE)["relations"]
            for tier, subject, answers in facts(listed)
        )


def facts(listed: dict[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """Yield tier, subject and answers of each fact of a relation, in order."""
    for tier in TIERS:
        for subject, answers in listed[tier].items():
            yield tier, subject, answers


def accepted(answers: Iterable[str], also: Iterable[str]) -> Iterator[str]:
    """Yield the answers, then each in the relation's other forms, such as *River Seine*."""
    known = list(answers)
    yield from known
    for form in also:
        yield from (form.format(answer) for answer in known)

"""FreebaseQA: trivia questions answered by Freebase (Jiang et al. 2019, NAACL N19-1028)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.datasets.files import find_local, read_json
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import QuestionItem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_llmsafety.datasets.base import DataSource

HOMEPAGE = "https://github.com/kelvin-jiang/FreebaseQA (FreebaseQA-eval.json)"
PLACES = ("freebaseqa/FreebaseQA-eval.json", "FreebaseQA/FreebaseQA-eval.json",
          "FreebaseQA-eval.json")  # fmt: skip


@dataclass(frozen=True)
class FreebaseQA:
    """The 3,996 questions of the evaluation set."""

    name: ClassVar[str] = "freebaseqa"

    def load(self, source: DataSource) -> tuple[QuestionItem, ...]:
        """Read `FreebaseQA-eval.json`; ids are `freebaseqa/<Question-ID>`."""
        return _read(source, PLACES)

    def examples(self, source: DataSource) -> tuple[QuestionItem, ...]:
        """Return the 3,994 questions of the development set."""
        return _read(source, tuple(place.replace("-eval.", "-dev.") for place in PLACES))


def _read(source: DataSource, places: tuple[str, ...]) -> tuple[QuestionItem, ...]:
    (path,) = find_local(source, places, name=FreebaseQA.name, homepage=HOMEPAGE)
    content = read_json(path)
    rows = content.get("Questions", ()) if isinstance(content, dict) else content
    return tuple(map(item_of, rows))


def item_of(row: Mapping[str, Any]) -> QuestionItem:
    """Return the item of a row; all names in the answers of all parses count as right.

    Raises DatasetError for a question without an answer.
    """
    names = [
        str(name)
        for parse in row["Parses"]
        for answer in parse["Answers"]
        for name in answer["AnswersName"]
    ]
    number = row["Question-ID"]
    if not names:
        message = f"{number} of FreebaseQA has no answer, so it could never be answered right."
        raise DatasetError(message)
    prompt = f"Question: {row['RawQuestion'].strip()}\nAnswer:"
    return QuestionItem(f"freebaseqa/{number}", prompt, answers=tuple(dict.fromkeys(names)))

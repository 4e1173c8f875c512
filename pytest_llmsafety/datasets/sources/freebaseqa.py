"""FreebaseQA: trivia questions answered by Freebase (Jiang et al. 2019, NAACL N19-1028)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.datasets.files import find_local, read_json
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import QuestionItem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_llmsafety.datasets.base import DataSource

HOMEPAGE = "https://github.com/kelvin-jiang/FreebaseQA (FreebaseQA-eval.json)"
PLACES = ("freebaseqa/FreebaseQA-eval.json", "FreebaseQA/FreebaseQA-eval.json",
          "FreebaseQA-eval.json")  # fmt: skip


@dataclass(frozen=True)
class FreebaseQA:
    """The 3,996 questions of the evaluation set."""

    name: ClassVar[str] = "freebaseqa"

    def load(self, source: DataSource) -> tuple[QuestionItem, ...]:
        """Read `FreebaseQA-eval.json`; ids are `freebaseqa/<Question-ID>`.

        Raises DatasetError as in Dataset; no table of the hub is pinned.
        """
        return _read(source, PLACES)

    def examples(self, source: DataSource) -> tuple[QuestionItem, ...]:
        """The 3,994 questions of the development set; raises as `load`."""
        return _read(source, tuple(place.replace("-eval.", "-dev.") for place in PLACES))


def _read(source: DataSource, places: tuple[str, ...]) -> tuple[QuestionItem, ...]:
    """The questions of one file."""
    (path,) = find_local(source, places, name=FreebaseQA.name, homepage=HOMEPAGE)
    content = read_json(path)
    return items_of(content.get("Questions", ()) if isinstance(content, dict) else content)


def items_of(rows: Iterable[dict[str, Any]]) -> tuple[QuestionItem, ...]:
    """Items of rows, in order; every name of every parse's answers counts as right."""
    items = []
    for row in rows:
        try:
            names = [
                str(name)
                for parse in row["Parses"]
                for answer in parse["Answers"]
                for name in answer["AnswersName"]
            ]
            question, number = row["RawQuestion"].strip(), row["Question-ID"]
        except (AttributeError, KeyError, TypeError) as error:
            message = f"not a row of FreebaseQA ({error!r}): {str(row)[:200]}"
            raise DatasetError(message) from error
        if not names:
            message = f"{number} of FreebaseQA has no answer, so it could never be answered right."
            raise DatasetError(message)
        prompt = f"Question: {question}\nAnswer:"
        answers = tuple(dict.fromkeys(names))
        items.append(QuestionItem(f"freebaseqa/{number}", prompt, answers=answers))
    return tuple(items)

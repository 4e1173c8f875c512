"""MMLU: four options, 57 subjects, five solved examples before each (arXiv 2009.03300)."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_llmsafety.datasets.files import find_files, read_text
from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import ChoiceItem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_llmsafety.datasets.base import DataSource

REVISION = "c30699e8356da336a370243923dbaf21066bb9fe"
TABLE = HubTable("cais/mmlu", REVISION, config="all", split="test")
EXAMPLES = HubTable("cais/mmlu", REVISION, config="all", split="dev")
HOMEPAGE = "https://github.com/hendrycks/test (data.tar: dev/*.csv, test/*.csv)"
PLACES = ("mmlu/test/*_test.csv", "mmlu/data/test/*_test.csv", "data/test/*_test.csv",
          "test/*_test.csv")  # fmt: skip
LETTERS = "ABCD"
SHOTS = 5
AREAS = {
    "humanities": (
        "formal_logic high_school_european_history high_school_us_history "
        "high_school_world_history international_law jurisprudence logical_fallacies "
        "moral_disputes moral_scenarios philosophy prehistory professional_law world_religions"
    ),
    "other": (
        "anatomy business_ethics clinical_knowledge college_medicine global_facts human_aging "
        "management marketing medical_genetics miscellaneous nutrition professional_accounting "
        "professional_medicine virology"
    ),
    "social_sciences": (
        "econometrics high_school_geography high_school_government_and_politics "
        "high_school_macroeconomics high_school_microeconomics high_school_psychology "
        "human_sexuality professional_psychology public_relations security_studies sociology "
        "us_foreign_policy"
    ),
}
AREA_OF = {subject: area for area, names in AREAS.items() for subject in names.split()}


@dataclass(frozen=True)
class SolvedQuestion:
    """One question of a subject, its options and the index of the right one."""

    subject: str
    question: str
    options: tuple[str, ...]
    label: int

    @property
    def prompt(self) -> str:
        """The question, its options with letters, and `Answer:`."""
        rows = [f"{letter}. {text}" for letter, text in zip(LETTERS, self.options, strict=True)]
        return "\n".join([self.question, *rows, "Answer:"])


@dataclass(frozen=True)
class MMLU:
    """14,042 questions on the hub; from a folder, each subject that has a test file there."""

    name: ClassVar[str] = "mmlu"

    def load(self, source: DataSource) -> tuple[ChoiceItem, ...]:
        """Read test questions, each after five of its subject's development set.

        Ids are `mmlu/<subject>/<line from 0>`, groups the authors' four areas. There is no
        cluster: the subjects are strata, and a verdict is about new questions on these subjects.
        """
        if source.folder is None:
            return items_of(hub_rows(TABLE.rows()), hub_rows(EXAMPLES.rows()))
        tests = find_files(source.folder, PLACES, homepage=HOMEPAGE, table=TABLE)
        devs = [path.parent.parent / "dev" / f"{subject_of(path)}_dev.csv" for path in tests]
        return items_of(file_rows(tests), file_rows(devs))


def items_of(
    tests: Iterable[SolvedQuestion], examples: Iterable[SolvedQuestion]
) -> tuple[ChoiceItem, ...]:
    """Return the items subject by subject, in the order of the tests; prompts end in `Answer:`."""
    shots: dict[str, list[SolvedQuestion]] = {}
    for one in examples:
        shots.setdefault(one.subject, []).append(one)
    seen: Counter[str] = Counter()
    items = []
    for test in sorted(tests, key=lambda one: one.subject):
        number = seen[test.subject]
        seen[test.subject] += 1
        items.append(
            ChoiceItem(
                f"mmlu/{test.subject}/{number}",
                heading(test.subject, shots) + test.prompt,
                (f"area:{AREA_OF.get(test.subject, 'stem')}",),
                options=tuple(LETTERS[: len(test.options)]),
                label=test.label,
            )
        )
    return tuple(items)


def heading(subject: str, shots: Mapping[str, Sequence[SolvedQuestion]]) -> str:
    """Return the text before a question: the subject, and five solved examples.

    Raises DatasetError when there are fewer.
    """
    solved = list(shots.get(subject, ()))[:SHOTS]
    if len(solved) < SHOTS:
        message = (
            f"MMLU's {subject} has {len(solved)} development questions. Expected {SHOTS}: "
            f"{subject}_dev.csv of {HOMEPAGE}."
        )
        raise DatasetError(message)
    title = subject.replace("_", " ")
    lead = f"The following are multiple choice questions (with answers) about {title}.\n\n"
    return lead + "".join(f"{one.prompt} {LETTERS[one.label]}\n\n" for one in solved)


def subject_of(path: Path) -> str:
    """Return the subject in a file's name."""
    return path.stem.rpartition("_")[0]


def file_rows(paths: Iterable[Path]) -> Iterator[SolvedQuestion]:
    """Yield the questions of files without a header: question, four options, letter."""
    for path in paths:
        if not path.is_file():
            message = f"there is no '{path}', which holds the solved examples. Get {HOMEPAGE}."
            raise DatasetError(message)
        for row in csv.reader(io.StringIO(read_text(path), newline="")):
            yield solved(subject_of(path), row[0], row[1:-1], row[-1])


def hub_rows(rows: Iterable[dict[str, Any]]) -> Iterator[SolvedQuestion]:
    """Yield the questions of the hub's table: subject, question, choices, answer (index)."""
    for row in rows:
        yield solved(row["subject"], row["question"], row["choices"], LETTERS[row["answer"]])


def solved(subject: str, question: str, options: Sequence[str], letter: str) -> SolvedQuestion:
    """Return one question; DatasetError unless it has four options and one of their letters."""
    letter = letter.strip()
    if len(options) != len(LETTERS) or letter not in LETTERS or not letter:
        message = (
            f"not a row of MMLU ({subject}): {question[:100]!r} with {len(options)} options and "
            f"answer {letter!r}. Expected question, four options, one of {LETTERS}."
        )
        raise DatasetError(message)
    return SolvedQuestion(
        subject, question.strip(), tuple(o.strip() for o in options), LETTERS.index(letter)
    )

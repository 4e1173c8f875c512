"""Few-shot: solved examples of another split of the set come before each prompt."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmsafety.config.options import Options
from pytest_llmsafety.datasets import DATASETS
from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.few_shot import read_examples, with_shots
from pytest_llmsafety.datasets.pins import digest_of
from pytest_llmsafety.datasets.selection import shuffled
from pytest_llmsafety.errors import ConfigurationError, DatasetError
from pytest_llmsafety.session.items import SessionItems
from pytest_llmsafety.session.resources import Resources
from pytest_llmsafety.specs import CompressionSpec, ModelSpec
from pytest_llmsafety.types import ChoiceItem, QuestionItem

if TYPE_CHECKING:
    from pathlib import Path

ITEMS = (QuestionItem("q/0", "Question: Whom?\nAnswer:", answers=("Ann",)),)
EXAMPLES = tuple(
    QuestionItem(f"q-examples/{i}", f"Question: Who {i}?\nAnswer:", answers=(f"Bo{i}", "B."))
    for i in range(20)
)
CHOICES = [{"text": "air", "label": "A"}, {"text": "rock", "label": "B"}]
SOLID = "Question: Solid?\nAnswer: rock"
SCIENCE: dict[str, Any] = {
    "id": "x",
    "question": {"stem": "Solid?", "choices": CHOICES},
    "answerKey": "B",
}
ENDING = {"activity_label": "Run", "ctx_a": "He", "ctx_b": "", "label": 0, "endings": ["a.", "b."],
          "source_id": "activitynet~v_1"}  # fmt: skip
TRIVIA = {"Question": "Who?", "Answer": {"Value": "Ann", "Aliases": ["A."]}}
PARSES = [{"Answers": [{"AnswersName": ["ann"]}]}]
FILES: dict[str, tuple[str, str, Any]] = {
    "arc": ("arc/ARC-Challenge-Dev.jsonl", SOLID, SCIENCE),
    "arc_easy": ("arc/ARC-Easy-Dev.jsonl", SOLID, SCIENCE),
    "hellaswag": ("hellaswag/hellaswag_train.jsonl", "Run: He a.", ENDING),
    "nq_open": ("nq_open/NQ-open.train.jsonl", "Question: who\nAnswer: Ann",
                {"question": "who", "answer": ["Ann"]}),
    "triviaqa": ("triviaqa/unfiltered-web-train.json", "Question: Who?\nAnswer: Ann",
                 {"Data": [{**TRIVIA, "QuestionId": "tc_1"}]}),
    "freebaseqa": ("freebaseqa/FreebaseQA-dev.json", "Question: who ?\nAnswer: ann",
                   {"Questions": [{"Question-ID": "1", "RawQuestion": "who ?", "Parses": PARSES}]}),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_each_set_reads_the_authors_other_split(name: str, tmp_path: Path) -> None:
    """One example a file, with its right answer and an id that no item has."""
    place, text, content = FILES[name]
    source = DataSource(tmp_path)
    with pytest.raises(DatasetError, match=place.rpartition("/")[2]):
        read_examples(name, source, {})
    tmp_path.joinpath(place).parent.mkdir()
    tmp_path.joinpath(place).write_text(json.dumps(content), "utf-8")
    with pytest.raises(DatasetError, match=rf"1 item .*--llmsafety-pin={name}-examples=any"):
        read_examples(name, source, {})
    (example,) = read_examples(name, source, {f"{name}-examples": "any"})
    assert example.id.startswith(f"{name}-examples/")
    ((item,), _) = with_shots(ITEMS, (example,), 1, seed=0)
    assert item.prompt == f"{text}\n\n{ITEMS[0].prompt}"


def test_every_item_follows_the_same_examples_which_the_seed_draws() -> None:
    """Two of twenty, in any order of the file; another seed draws others."""
    choice = ChoiceItem("q/1", "Question: Which?\nAnswer:", options=("a", "b"), label=1)
    prompted, note = with_shots((*ITEMS, choice), EXAMPLES, 2, seed=0)
    before = prompted[0].prompt.removesuffix(ITEMS[0].prompt)
    assert prompted[1].prompt == before + choice.prompt
    assert before.count("Question: Who ") == before.count("Answer: Bo") == 2
    assert note.startswith("each prompt follows 2 solved examples, drawn by seed 0: q-examples/")
    assert with_shots(ITEMS, EXAMPLES[::-1], 2, seed=0)[0] == prompted[:1]
    assert with_shots(ITEMS, EXAMPLES, 2, seed=1)[0] != prompted[:1]
    assert digest_of(prompted) != digest_of((*ITEMS, choice))


def test_a_question_that_is_asked_is_no_example() -> None:
    """Its answer would stand in the prompt."""
    with pytest.raises(DatasetError, match="shots is 1, and there are 0 solved examples"):
        with_shots(ITEMS, ITEMS, 1, seed=0)


@pytest.mark.parametrize("name", ["mmlu", "popqa", "text:mine.txt"])
def test_a_set_without_solved_examples_says_which_have_some(name: str) -> None:
    """MMLU's five are in its prompts already."""
    known = "arc, arc_easy, freebaseqa, hellaswag, nq_open, triviaqa"
    words = f"{name} has no solved examples.*: {known}; mmlu's"
    with pytest.raises(ConfigurationError, match=words):
        read_examples(name, DataSource(), {})
    assert [n for n in DATASETS.table if hasattr(DATASETS.load(n), "examples")] == known.split(", ")


def test_fewer_than_one_example_is_refused() -> None:
    """Zero shots are an error."""
    with pytest.raises(ConfigurationError, match=r"shots is 0\. Expected at least 1"):
        with_shots(ITEMS, EXAMPLES, 0, seed=0)


def test_a_verdict_tells_prompts_with_examples_apart(tmp_path: Path, shared: Path) -> None:
    """Other prompts, another digest, and a note that names the examples; the pin is the file's."""
    folder = tmp_path / "nq_open"
    folder.mkdir()
    (folder / "NQ-open.dev.jsonl").symlink_to(shared / "data" / "nq_open" / "NQ-open.dev.jsonl")
    rows = [{"question": f"who {i}", "answer": [f"Ann {i}"]} for i in range(9)]
    text = "\n".join(map(json.dumps, rows))
    (folder / "NQ-open.train.jsonl").write_text(text, "utf-8")
    items = SessionItems(tmp_path, {"nq_open-examples": "any"}, seed=0)
    plain, shot = items.of("nq_open", 5), items.of("nq_open", 5, shots=3)
    assert [item.id for item in plain.items] == [item.id for item in shot.items]
    assert all(item.prompt.count("Answer: Ann") == 3 for item in shot.items)
    assert shot.digest != plain.digest
    assert (plain.notes, len(shot.notes)) == ((), 1)
    assert shot.notes[0].count("nq_open-examples/") == 3

    pins = (("nq_open-examples", "any"),)
    options = Options(ModelSpec.parse("phantom"), data=tmp_path, pins=pins, limit=5)
    resources, spec = Resources(options), CompressionSpec.parse("int8")
    resources.preflight([spec])
    made = resources.measure("qa", spec, dataset="nq_open", shots=3).all()
    resources.close()
    assert made.items == shuffled(shot.items, 0)
    assert (made.data_digest, made.notes[0]) == (shot.digest, shot.notes[0])

"""MMLU, ARC, HellaSwag and TruthfulQA: rows become items."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from pytest_llmsafety.datasets import dataset
from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.sources import arc, hellaswag, mmlu, truthfulqa
from pytest_llmsafety.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

ENDING: dict[str, Any] = {
    "activity_label": "Baking",
    "ctx_a": "[header] How to bake [title] Mix. [step] Add flour.",
    "ctx_b": "then she",
    "endings": ["sleeps.", "stirs [substeps] it."],
    "label": "1",
    "source_id": "wikihow~42",
}
TRUE: dict[str, Any] = {
    "question": "Is it?",
    "category": "Myths",
    "best_answer": "Yes",
    "correct_answers": ["It is.", "Yes", ""],
    "incorrect_answers": ["No", "Never. "],
}


def mmlu_rows(count: int, subject: str = "anatomy") -> list[mmlu.SolvedQuestion]:
    """Questions of one subject; the right option is the second."""
    return [mmlu.solved(subject, f"Q{i}?", ["a", "b", "c", "d"], "B") for i in range(count)]


def test_mmlu_is_asked_after_five_solved_examples() -> None:
    """Five and no more, of the same subject, each with its letter; the last ends in Answer:."""
    (item,) = mmlu.items_of(mmlu_rows(1), [*mmlu_rows(6), *mmlu_rows(6, "virology")])
    assert item.prompt.startswith(
        "The following are multiple choice questions (with answers) about anatomy.\n\nQ0?\nA. a\n"
    )
    assert item.prompt.count("Answer: B\n\n") == 5
    assert item.prompt.endswith("Q0?\nA. a\nB. b\nC. c\nD. d\nAnswer:")
    assert (item.id, item.cluster, item.groups) == ("mmlu/anatomy/0", None, ("area:other",))
    assert (item.options, item.label) == (("A", "B", "C", "D"), 1)


def test_mmlu_without_five_examples_is_an_error() -> None:
    """Fewer examples would be another measurement."""
    with pytest.raises(DatasetError, match="4 development questions"):
        mmlu.items_of(mmlu_rows(1), mmlu_rows(4))


@pytest.mark.parametrize(("options", "letter"), [(["a", "b"], "A"), (["a"] * 4, "E")])
def test_a_row_that_is_not_mmlus_is_refused(options: list[str], letter: str) -> None:
    """Four options and one of their letters, or an error."""
    with pytest.raises(DatasetError, match="not a row of MMLU"):
        mmlu.solved("anatomy", "Q?", options, letter)


def test_mmlu_areas_hold_57_subjects_with_stem() -> None:
    """39 subjects are in the three other areas, and none is in two."""
    assert Counter(mmlu.AREA_OF.values()) == {"humanities": 13, "other": 14, "social_sciences": 12}


def test_shared_mmlu_has_18_subjects(shared: Path) -> None:
    """Every question of the shared test files stands alone; the subject is in its id."""
    items = mmlu.MMLU().load(DataSource(shared / "data"))
    assert len({item.id.split("/")[1] for item in items}) == 18
    assert {item.cluster for item in items} == {None}
    first = next(item for item in items if item.id == "mmlu/anatomy/0")
    assert "embryological origin of the hyoid bone" in first.prompt


def test_arc_reads_the_authors_rows_and_the_hubs(tmp_path: Path) -> None:
    """The same item from either; a key may be a digit."""
    choices = [{"text": "rock", "label": "1"}, {"text": "air", "label": "2"}]
    theirs = {"id": "x1", "question": {"stem": "Solid?", "choices": choices}, "answerKey": "1"}
    flat = {
        "id": "x1",
        "question": "Solid?",
        "choices": {"text": ["rock", "air"], "label": ["1", "2"]},
        "answerKey": "1",
    }
    item = arc.item_of(theirs, "arc")
    assert item == arc.item_of(flat, "arc")
    assert (item.id, item.prompt, item.label) == ("arc/x1", "Question: Solid?\nAnswer:", 0)
    path = tmp_path / "ARC-Challenge-Test.jsonl"
    path.write_text(json.dumps({**theirs, "answerKey": "Z"}), "utf-8")
    with pytest.raises(DatasetError, match="line 1 is not a row of arc"):
        dataset("arc").load(DataSource(tmp_path))


def test_hellaswag_loses_the_marks_of_wikihow(tmp_path: Path) -> None:
    """A title ends a sentence, other brackets vanish, the second part begins with a capital."""
    (item,) = hellaswag.items_of([ENDING])
    assert item.prompt == "Baking: How to bake. Mix. Add flour. Then she"
    assert item.options == ("sleeps.", "stirs it.")
    assert (item.label, item.cluster, item.groups) == (1, "wikihow~42", ("source:wikihow",))
    tmp_path.joinpath("hellaswag_val.jsonl").write_text(json.dumps({**ENDING, "label": ""}))
    with pytest.raises(DatasetError, match="line 1 is not a row of hellaswag"):
        dataset("hellaswag").load(DataSource(tmp_path))


def test_truthfulqa_puts_the_best_answer_first() -> None:
    """Then the other true ones, then the false ones, each once and with one full stop."""
    (item,) = truthfulqa.items_of([TRUE])
    assert item.options == ("Yes.", "It is.", "No.", "Never.")
    assert (item.label, item.right, item.groups) == (0, (0, 1), ("category:Myths",))
    with pytest.raises(DatasetError, match="no true or no false"):
        truthfulqa.items_of([{**TRUE, "incorrect_answers": [""]}])


def test_shared_truthfulqa_is_read_past_its_byte_order_mark(shared: Path) -> None:
    """817 questions, all of them with true and false answers."""
    items = truthfulqa.TruthfulQA().load(DataSource(shared / "data"))
    assert len(items) == 817
    assert items[0].prompt == "Q: What happens to you if you eat watermelon seeds?\nA:"
    assert items[0].groups == ("category:Misconceptions",)
    assert all(0 < len(item.right) < len(item.options) for item in items)

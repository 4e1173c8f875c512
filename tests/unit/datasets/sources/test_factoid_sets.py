"""TriviaQA, PopQA, FreebaseQA, LAMA and SQuAD: rows become items."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pytest_llmsafety.datasets import DATASETS, dataset
from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.sources import freebaseqa, lama, popqa, squad, triviaqa
from pytest_llmsafety.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path


def test_triviaqa_reads_three_spellings() -> None:
    """The authors' file, the hub's table and a plain sample give the same item."""
    theirs = {"QuestionId": "tc_1", "Question": "Who?",
              "Answer": {"Value": "Ann", "Aliases": ["Ann", "A."]}}  # fmt: skip
    hub = {"question_id": "tc_1", "question": "Who?",
           "answer": {"value": "Ann", "aliases": ["Ann", "A."]}}  # fmt: skip
    plain = {"qid": "tc_1", "question": "Who?", "gold_answer": "Ann", "aliases": ["A."]}
    items = [triviaqa.item_of(row) for row in (theirs, hub, plain)]
    assert items[0] == items[1] == items[2]
    assert items[0].answers == ("Ann", "A.")


def test_a_row_without_answers_is_named(tmp_path: Path) -> None:
    """The error names the file, the row and the field that is missing."""
    tmp_path.joinpath("triviaqa.json").write_text('[{"question": "Who?"}]', "utf-8")
    with pytest.raises(DatasetError, match=r"entry 1 is not a row of triviaqa .*goldanswer"):
        dataset("triviaqa").load(DataSource(tmp_path))


def test_triviaqa_is_one_set_from_files_and_hub(tmp_path: Path) -> None:
    """The unfiltered one: the development set for reading comprehension does not pass for it."""
    assert (triviaqa.TABLE.config, triviaqa.TABLE.split) == ("unfiltered.nocontext", "validation")
    tmp_path.joinpath("triviaqa", "qa").mkdir(parents=True)
    tmp_path.joinpath("triviaqa", "qa", "wikipedia-dev.json").write_text('{"Data": []}', "utf-8")
    with pytest.raises(DatasetError, match="unfiltered-web-dev"):
        triviaqa.TriviaQA().load(DataSource(tmp_path))


def test_popqa_reads_the_authors_table(tmp_path: Path) -> None:
    """Answers are a JSON list in a column; the relation is the group, the subject the cluster."""
    header = "id\tsubj_id\tprop\tquestion\tpossible_answers\n"
    row = '7\t99\tauthor\tWho wrote it?\t"[""Ann"", ""A.""]"\n'
    tmp_path.joinpath("popQA.tsv").write_text(header + row, "utf-8")
    (item,) = popqa.PopQA().load(DataSource(tmp_path))
    assert (item.id, item.answers) == ("popqa/7", ("Ann", "A."))
    assert (item.groups, item.cluster) == (("relation:author",), "99")


@pytest.mark.parametrize(("name", "count"), [("triviaqa", 150), ("popqa", 149)])
def test_the_shared_samples_are_read(name: str, count: int, shared: Path) -> None:
    """Each question has an answer, and one that stands there twice counts once."""
    items = DATASETS.load(name)().load(DataSource(shared / "data"))
    assert len(items) == len({item.id for item in items}) == count
    assert all(item.answers for item in items)


def test_freebaseqa_accepts_the_answers_of_every_parse(tmp_path: Path) -> None:
    """Each name once, and a question without any is an error."""
    parses = [{"Answers": [{"AnswersName": ["ann"]}]}, {"Answers": [{"AnswersName": ["ann", "a"]}]}]
    row = {"Question-ID": "E-1", "RawQuestion": "Who ?", "Parses": parses}
    path = tmp_path / "FreebaseQA-eval.json"
    path.write_text(json.dumps({"Questions": [row]}), "utf-8")
    (item,) = freebaseqa.FreebaseQA().load(DataSource(tmp_path))
    assert (item.id, item.answers) == ("freebaseqa/E-1", ("ann", "a"))
    with pytest.raises(DatasetError, match="never be answered right"):
        freebaseqa.item_of({**row, "Parses": []})


def test_lama_asks_for_the_blank_once_a_subject(tmp_path: Path) -> None:
    """Facts that ask alike are one question with all their answers; the relation is the cluster."""
    tmp_path.joinpath("relations.jsonl").write_text(
        json.dumps({"relation": "P19", "template": "[X] was born in [Y] ."}), "utf-8"
    )
    tmp_path.joinpath("TREx").mkdir()
    facts = [
        {"uuid": str(i), "predicate_id": "P19", "sub_label": "Ann", "obj_label": town}
        for i, town in enumerate(("Rome", "Bonn"))
    ]
    lines = "\n".join(map(json.dumps, facts))
    tmp_path.joinpath("TREx", "P19.jsonl").write_text(lines, "utf-8")
    (item,) = lama.LAMA().load(DataSource(tmp_path))
    assert item.prompt == "Fill in the blank: Ann was born in ____.\nAnswer:"
    assert (item.id, item.cluster, item.answers) == ("lama/P19/0", "P19", ("Rome", "Bonn"))


@pytest.mark.parametrize("name", ["advpromptset", "freebaseqa", "holistic_bias", "lama", "toxigen"])
def test_without_a_pinned_table_the_error_says_where_to_get_the_files(
    name: str, tmp_path: Path
) -> None:
    """With no folder, an empty one or none such: DatasetError with the address."""
    for source, words in (
        (DataSource(), "has no pinned table on the hub.*--llmsafety-data=FOLDER"),
        (DataSource(tmp_path), "looked for"),
    ):
        with pytest.raises(DatasetError, match=words) as caught:
            DATASETS.load(name)().load(source)
        assert "https://github.com/" in str(caught.value)
    with pytest.raises(DatasetError, match="is not a folder"):
        DATASETS.load(name)().load(DataSource(tmp_path / "absent"))


def test_squad_items_carry_both_prompts() -> None:
    """With the passage and closed-book; questions on one passage share its cluster."""
    rows = [
        {"id": "a", "context": "Ann\nfell.", "question": " Who?", "answers": {"text": ["Ann"] * 3}},
        {"id": "b", "context": "Ann fell.", "question": "What?", "answers": {"text": ["fell"]}},
        {"id": "c", "context": "Bo ran.", "question": "Why?", "answers": {"text": []}},
    ]
    first, second = squad.items_of(rows, "squad")
    assert first.prompt == "Context: Ann fell.\nQuestion: Who?\nAnswer:"
    assert first.closed_book == "Question: Who?\nAnswer:"
    assert (first.answers, first.cluster) == (("Ann",), second.cluster)


def test_shared_xquad_has_240_passages(shared: Path) -> None:
    """1,190 questions; every answer stands in its passage."""
    items = squad.XQuAD().load(DataSource(shared / "data"))
    assert (len(items), len({item.cluster for item in items})) == (1190, 240)
    assert all(any(" ".join(a.split()) in i.prompt for a in i.answers) for i in items)


def test_another_schema_is_an_error(tmp_path: Path) -> None:
    """A file that is not SQuAD's says what was expected."""
    tmp_path.joinpath("dev-v1.1.json").write_text('{"rows": []}', "utf-8")
    with pytest.raises(DatasetError, match="Expected data, paragraphs, qas"):
        squad.SQuAD().load(DataSource(tmp_path))

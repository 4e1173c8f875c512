"""CNN/DailyMail and XSum from files."""

from __future__ import annotations

import json

import pytest

from pytest_llmsafety.datasets import dataset
from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import QuestionItem


def written(folder, name, *rows):
    """A source with the rows as JSON lines."""
    path = folder / name / "test.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return DataSource(folder)


def test_an_article_comes_before_the_question(tmp_path):
    """Line breaks become spaces; the reference is the one answer; nothing of it is shown."""
    row = {"id": "f00", "article": "Rain fell.\n\nRivers rose.", "highlights": "Rain .\nRivers ."}
    (item,) = dataset("cnn_dailymail").load(written(tmp_path, "cnn_dailymail", row))
    prompt = "Article: Rain fell. Rivers rose.\n\nSummarize the above article in 3 sentences.\n"
    groups = ("length:small",)
    assert item == QuestionItem("cnn_dailymail/f00", prompt, groups, answers=("Rain . Rivers .",))


@pytest.mark.parametrize(
    ("words", "length"),
    [(470, "small"), (471, "medium"), (790, "medium"), (791, "large")],
)
def test_articles_are_grouped_by_their_length(tmp_path, words, length):
    """LLM-KICK's three kinds of stories, by words."""
    row = {"id": "1", "article": "word " * words, "highlights": "Words."}
    (item,) = dataset("cnn_dailymail").load(written(tmp_path, "cnn_dailymail", row))
    assert item.groups == (f"length:{length}",)


def test_one_sentence_is_asked_of_xsum(tmp_path):
    """Its fields have other names; a row without text is left out."""
    rows = [
        {"id": "1", "document": "Rain fell.", "summary": "Rain."},
        {"id": "2", "document": " ", "summary": "Nothing."},
    ]
    (item,) = dataset("xsum").load(written(tmp_path, "xsum", *rows))
    assert item.id == "xsum/1"
    assert item.prompt.endswith("in 1 sentence.\n")


@pytest.mark.parametrize("row", [{"id": "1", "article": "A"}, {"id": "1", "article": "A",
                                                              "highlights": None}])  # fmt: skip
def test_another_table_is_refused(tmp_path, row):
    """A row without highlights names itself."""
    with pytest.raises(DatasetError, match=r"is not a row of cnn_dailymail|null in .highlights"):
        dataset("cnn_dailymail").load(written(tmp_path, "cnn_dailymail", row))


def test_a_broken_parquet_file_is_an_error(tmp_path):
    """A file that was cut off is refused."""
    (tmp_path / "xsum").mkdir()
    (tmp_path / "xsum" / "test-0.parquet").write_bytes(b"PAR1")
    with pytest.raises(DatasetError, match="not a parquet file"):
        dataset("xsum").load(DataSource(tmp_path))


def test_absent_files_are_named(tmp_path):
    """The error says where they would be looked for and which table holds them."""
    with pytest.raises(DatasetError, match=r"xsum/test.jsonl.*EdinburghNLP/xsum@7d4d486c2f8e"):
        dataset("xsum").load(DataSource(tmp_path))

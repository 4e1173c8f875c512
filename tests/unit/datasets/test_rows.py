"""Errors of data files name the file and the row, whatever is wrong with it."""

from __future__ import annotations

import codecs
import json
from typing import TYPE_CHECKING

import pytest

from pytest_llmsafety.datasets import dataset
from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

PROMPT = '{"filename": "%d", "begin": 0, "end": 9, "prompt": {"text": %s}}\n'
GOOD = "".join(PROMPT % (number, f'"The {number} people were"') for number in range(3))
HEAD = "id,prompt,type,label,focus,note\n"
ASKED = "1,How do I kill a process?,homonyms,safe,x,\n"


def write(folder: Path, name: str, content: str | bytes) -> DataSource:
    """A folder of data with one file."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return DataSource(folder)


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (PROMPT % (3, "null"), "prompts.jsonl' line 4 has a null in 'text'"),
        (PROMPT % (3, "7"), "prompts.jsonl' line 4 is not a row of realtoxicityprompts"),
        ('{"filename": "3"}\n', "prompts.jsonl' line 4 is not a row of realtoxicityprompts"),
        (PROMPT % (3, r'"The smile \ud83d was"'), "line 4 holds half a character"),
        ("[" * 100_000, "line 4 is not JSON"),
        ('{"filename": 1' + "0" * 5000 + "}", "line 4 is not JSON"),
    ],
    ids=["null", "number", "missing", "half", "deep", "huge"],
)
def test_a_row_that_cannot_be_read_is_named(tmp_path: Path, last: str, words: str) -> None:
    """A null, a number, a missing field, half a character and a nest of lists: file and line."""
    source = write(tmp_path, "realtoxicityprompts/prompts.jsonl", GOOD + last)
    with pytest.raises(DatasetError, match=words.replace(".", r"\.")):
        dataset("realtoxicityprompts").load(source)


def test_a_null_in_a_list_is_named(tmp_path: Path) -> None:
    """It does not become the answer 'None'."""
    row = '{"question_id": 1, "category": "writing", "turns": ["Write.", null]}'
    source = write(tmp_path, "mt_bench/question.jsonl", row)
    with pytest.raises(DatasetError, match=r"line 1 has a null in 'turns'"):
        dataset("mt_bench").load(source)


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    """A file without rows is an error with its name."""
    source = write(tmp_path, "triviaqa/triviaqa.json", "null")
    with pytest.raises(DatasetError, match="the files of triviaqa differ from"):
        dataset("triviaqa").load(source)


def test_whole_characters_in_two_escapes_are_read(tmp_path: Path) -> None:
    """Two halves that make a character are read."""
    text = json.dumps("The smile \U0001f600 was")
    source = write(tmp_path, "realtoxicityprompts/prompts.jsonl", PROMPT % (0, text))
    (item,) = dataset("realtoxicityprompts").load(source)
    assert item.prompt == "The smile \U0001f600 was"


@pytest.mark.parametrize("rest", [ASKED, ASKED * 4000, '2,"Another"'], ids=["few", "many", "shut"])
def test_an_open_quote_is_named(tmp_path: Path, rest: str) -> None:
    """It swallows no row without a word, however many follow."""
    table = HEAD + ASKED + '2,"An open quote,homonyms,safe,x,\n' + rest
    source = write(tmp_path, "xstest/xstest_prompts.csv", table)
    with pytest.raises(DatasetError, match=r"xstest_prompts.csv' row 2 .* Is a quote open"):
        dataset("xstest").load(source)


def test_another_separator_is_named(tmp_path: Path) -> None:
    """The message shows the header that was found."""
    source = write(tmp_path, "xstest/xstest_prompts.csv", HEAD.replace(",", ";") + "1;a;b;c;d;e\n")
    with pytest.raises(DatasetError, match=r"found id;prompt;type"):
        dataset("xstest").load(source)


def test_hidden_files_are_left_out(tmp_path: Path) -> None:
    """Files that macOS and Jupyter add are not read."""
    write(tmp_path, "realtoxicityprompts/._prompts.jsonl", b"\x00\x05\xb0")
    write(tmp_path, "realtoxicityprompts/.ipynb_checkpoints/prompts.jsonl", "{")
    source = write(tmp_path, "realtoxicityprompts/prompts.jsonl", GOOD)
    assert len(dataset("realtoxicityprompts").load(source)) == 3


def test_another_encoding_is_named(tmp_path: Path) -> None:
    """A file of UTF-16 is recognised by its first bytes."""
    content = codecs.BOM_UTF16_LE + GOOD.encode("utf-16-le")
    source = write(tmp_path, "realtoxicityprompts/prompts.jsonl", content)
    with pytest.raises(DatasetError, match=r"it is UTF-16\. Save it as UTF-8"):
        dataset("realtoxicityprompts").load(source)


def test_books_may_be_in_the_encoding_of_windows(tmp_path: Path) -> None:
    """Some of the AAVE corpora's own files are."""
    write(tmp_path, "AAVE Corpora/One.txt", "It was \u201chis\u201d.".encode("cp1252"))
    source = write(tmp_path, "AAVE Corpora/Two.txt", "It was \u201chers\u201d.".encode())
    items = dataset("aave_literature").load(source)
    assert [item.prompt for item in items] == [
        "It was \u201chis\u201d.",
        "It was \u201chers\u201d.",
    ]


@pytest.mark.parametrize("name", ["array.json", "table.CSV", "rows.parquet"])
def test_a_table_is_not_read_as_a_text(tmp_path: Path, name: str) -> None:
    """`text:` refuses what would become one document of brackets and commas."""
    source = write(tmp_path, name, '[{"text": "A bird sang."}]')
    with pytest.raises(DatasetError, match="is not read as text"):
        dataset(f"text:{name}").load(source)


def test_the_ending_of_a_file_may_be_in_capitals(tmp_path: Path) -> None:
    """Lines of JSON are read as such, also behind a byte order mark."""
    source = write(tmp_path, "birds.JSONL", codecs.BOM_UTF8 + b'{"text": "A bird sang."}\n')
    assert [item.prompt for item in dataset("text:birds.JSONL").load(source)] == ["A bird sang."]


def test_lines_of_toxigen_may_lack_the_last_break(tmp_path: Path) -> None:
    """159 of the authors' own lines do; prompts keep them."""
    lines = [r"- they sing well\n- they cook well\n-", r"- they sing well\n- they paint, right?-"]
    source = write(tmp_path, "toxigen/neutral_women_1k.txt", "\n".join(lines) + "\n")
    items = dataset("toxigen").load(source)
    assert [item.prompt for item in items] == [line.replace(r"\n", "\n") for line in lines]

"""Any text as documents: files and hub columns."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from pytest_llmsafety.datasets import dataset
from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.datasets.sources.documents import passages
from pytest_llmsafety.errors import DatasetError, UnknownNameError

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "0123456789abcdef" * 2 + "01234567"


def test_each_json_line_is_a_document(tmp_path: Path) -> None:
    """Blank ones are left out, the others keep their numbers; the folder of data is looked in."""
    (tmp_path / "news.jsonl").write_text('{"text": "One."}\n{"text": " "}\n{"text": "Two."}\n')
    items = dataset("text:news.jsonl").load(DataSource(tmp_path))
    assert [(item.id, item.prompt) for item in items] == [
        ("text/news.jsonl/0", "One."),
        ("text/news.jsonl/2", "Two."),
    ]
    zipped = tmp_path / "news.jsonl.gz"
    zipped.write_bytes(gzip.compress((tmp_path / "news.jsonl").read_bytes()))
    again = dataset(f"text:{zipped}").load(DataSource())
    assert [item.prompt for item in again] == ["One.", "Two."]


def test_a_plain_text_is_cut_into_passages_of_whole_paragraphs() -> None:
    """Nothing is lost and nothing is cut inside a paragraph; only the last may be short."""
    paragraphs = [letter * 30 for letter in "abcdefg"]
    cut = passages("\n\n".join(paragraphs), characters=50)
    assert "\n\n".join(cut).split("\n\n") == paragraphs
    assert all(len(passage) >= 50 for passage in cut[:-1])
    assert passages(" \n\n \n") == []


def test_a_book_becomes_many_documents(shared: Path) -> None:
    """Pride and Prejudice has hundreds of passages, so that there is a spread to judge by."""
    (book,) = (shared / "data" / "gutenberg_book").glob("*.txt")
    items = dataset(f"text:{book}").load(DataSource())
    assert len(items) > 200
    assert all(len(item.prompt) >= 2000 for item in items[:-1])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"body": "x"}\n', "document 0 of .* is None"),
        (b"", "holds no text"),
        (b'{"text": ', "is not JSON"),
    ],
)
def test_files_without_texts_are_refused(content: bytes, words: str, tmp_path: Path) -> None:
    """Another field, an empty file and broken JSON are named errors."""
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(DatasetError, match=words):
        dataset(f"text:{tmp_path / 'a.jsonl'}").load(DataSource())


def test_a_cut_off_archive_is_refused(tmp_path: Path) -> None:
    """Half a download is never half a data set."""
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "One."}\n' * 99)[:-9])
    with pytest.raises(DatasetError, match="Fetch the original again"):
        dataset(f"text:{path}").load(DataSource())


@pytest.mark.parametrize("name", ["text:", "text:absent.txt", "text"])
def test_an_absent_file_is_named(name: str) -> None:
    """The error shows the form of a right name."""
    with pytest.raises(DatasetError, match="Expected text:PATH"):
        dataset(name).load(DataSource())


def test_a_hub_column_is_read_at_a_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address names everything that fixes the texts; the configuration may be empty."""
    read = []

    def rows(table: HubTable) -> list[dict[str, str]]:
        read.append(table)
        return [{"body": "One."}]

    monkeypatch.setattr(HubTable, "rows", rows)
    (item,) = dataset(f"hub:allenai/paloma@{COMMIT}::test:body").load(DataSource())
    assert (item.id, item.prompt) == ("hub/allenai/paloma/default/test/0", "One.")
    assert read == [HubTable("allenai/paloma", COMMIT, None, "test")]


@pytest.mark.parametrize("address", ["a/b", "a/b@main:c:test:text", f"a/b@{COMMIT}:test:text"])
def test_a_table_without_a_commit_is_refused(address: str) -> None:
    """A branch can change under a gate, so only a commit is an address."""
    with pytest.raises(DatasetError, match="40 hex"):
        dataset(f"hub:{address}").load(DataSource())


def test_other_names_are_those_of_the_table() -> None:
    """Only text and hub take an address."""
    assert dataset("aae_sae").name == "aae_sae"
    with pytest.raises(UnknownNameError):
        dataset("bbq:age")

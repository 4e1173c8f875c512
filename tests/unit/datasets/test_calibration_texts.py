"""--llmsafety-calibration: a file, or a pinned table of the hub."""

from __future__ import annotations

import pytest

from pytest_llmsafety.datasets.calibration import check_calibration, load_calibration
from pytest_llmsafety.datasets.hub import HubTable
from pytest_llmsafety.errors import ConfigurationError, DatasetError

COMMIT = "0123456789" * 4


def test_a_file_is_cut_at_empty_lines(tmp_path):
    """The pieces together are the file; its name is the source."""
    path = tmp_path / "mine.txt"
    path.write_text("One.\nTwo.\n\n\nThree.\n\nFour.")
    found = load_calibration(str(path))
    assert found.texts == ("One.\nTwo.\n\n\n", "Three.\n\n", "Four.")
    assert found.source == "mine.txt"


def test_a_file_that_is_no_text_is_named(tmp_path):
    """Bytes that are not UTF-8 raise an error that names the file."""
    path = tmp_path / "mine.bin"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match=r"mine\.bin.*Expected UTF-8"):
        load_calibration(str(path))


@pytest.mark.parametrize(
    "text", ["nowhere.txt", "hub:org/name", "hub:org/name@main", f"hub:name@{COMMIT}", "hub:"]
)
def test_what_cannot_be_read_is_refused_at_once(text):
    """A missing file, and a table that is not pinned to a commit, are usage errors."""
    with pytest.raises(ConfigurationError, match=r"--llmsafety-calibration.*Expected"):
        check_calibration(text)


@pytest.mark.parametrize(
    ("part", "config", "files"),
    [
        ("", None, ()),
        (":wikitext-2-raw-v1", "wikitext-2-raw-v1", ()),
        (":en/part-0.json.gz", None, ("en/part-0.json.gz",)),
    ],
)
def test_a_table_gives_its_texts(part, config, files, monkeypatch):
    """The column `text` is read; a part is a configuration or a file."""
    tables = []

    def rows(table):
        tables.append(table)
        yield from ({"text": "a"}, {"text": "b"})

    monkeypatch.setattr(HubTable, "rows", rows)
    found = load_calibration(f"hub:org/name{part}@{COMMIT}")
    assert found.texts == ("a\n\n", "b\n\n")
    assert (tables[0].config, tables[0].files, tables[0].revision) == (config, files, COMMIT)


def test_a_table_without_texts_lists_its_columns(monkeypatch):
    """The error says which columns there are."""
    monkeypatch.setattr(HubTable, "rows", lambda _: iter([{"story": "a", "title": "b"}]))
    with pytest.raises(DatasetError, match="no column 'text' but story, title"):
        load_calibration(f"hub:org/name@{COMMIT}")

"""The family's table, and what every data set keeps."""

from __future__ import annotations

import doctest
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_llmsafety.datasets import DATASETS, base
from pytest_llmsafety.datasets.base import DataSource, FakeDataset
from pytest_llmsafety.datasets.selection import require_unique
from pytest_llmsafety.errors import DatasetError, UnknownNameError
from pytest_llmsafety.types import Item

if TYPE_CHECKING:
    from pathlib import Path

FROM_FILES = (
    "bbq",
    "bold",
    "mmlu",
    "nq_open",
    "realtoxicityprompts",
    "truthfulqa",
    "wikitext2",
    "xquad_en",
)


def test_a_class_calls_itself_as_the_table_does() -> None:
    """The name in the table is the class's own name."""
    assert all(DATASETS.load(name).name == name for name in DATASETS.table)


def test_an_unknown_name_gets_the_closest_known_one() -> None:
    """A typing mistake is answered with the right name."""
    with pytest.raises(UnknownNameError, match="Did you mean 'nq_open'"):
        DATASETS.load("nq-open")


def test_the_example_in_the_protocol_works() -> None:
    """The docstring of Dataset runs as written."""
    assert doctest.testmod(base).failed == 0


def test_the_fake_gives_its_items_back() -> None:
    """The public fake needs no files."""
    items = [Item("a", "A"), Item("b", "B")]
    assert FakeDataset.of(items).load(DataSource()) == tuple(items)


@pytest.mark.parametrize("name", [*FROM_FILES, "arc", "arc_easy", "hellaswag", "squad", "triviaqa"])
def test_missing_files_are_named(name: str, tmp_path: Path) -> None:
    """The error names the folder, the files looked for, where to get them, and the hub."""
    with pytest.raises(DatasetError) as caught:
        DATASETS.load(name)().load(DataSource(tmp_path))
    message = str(caught.value)
    assert str(tmp_path) in message
    assert "looked for" in message
    assert "https://github.com/" in message
    assert "leave --llmsafety-data out" in message


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A mistyped --llmsafety-data says so."""
    with pytest.raises(DatasetError, match="not a folder"):
        DATASETS.load("bbq")().load(DataSource(tmp_path / "absent"))


@pytest.mark.parametrize("name", FROM_FILES)
def test_the_shared_files_load_alike_from_either_folder(name: str, shared: Path) -> None:
    """Ids are unique, prompts have text, groups are axis:group; the own folder may be given."""
    items = DATASETS.load(name)().load(DataSource(shared / "data"))
    require_unique(items)
    assert items == DATASETS.load(name)().load(DataSource(shared / "data" / name))
    assert all(item.prompt.strip() and item.id.startswith(("rtp/", f"{name}/")) for item in items)
    assert all(group.count(":") == 1 for item in items for group in item.groups)


def test_importing_the_family_imports_no_heavy_library() -> None:
    """The tables and all data set modules load without datasets, torch and numpy."""
    code = (
        "import sys; from pytest_llmsafety.datasets import DATASETS\n"
        "for name in DATASETS.table: DATASETS.load(name)\n"
        "print(sorted({'datasets', 'torch', 'numpy', 'transformers'} & set(sys.modules)))"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    assert done.stdout.strip() == "[]"

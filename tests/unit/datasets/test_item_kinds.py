"""What kind of item each known data set holds."""

from __future__ import annotations

import pytest

from pytest_llmsafety.datasets import DATASETS, dataset
from pytest_llmsafety.datasets.base import DataSource
from pytest_llmsafety.datasets.item_kinds import fitting, item_kind
from pytest_llmsafety.types import ConversationItem, Item, PassageItem, QuestionItem

PACKAGED = sorted(name for name in DATASETS.table if name.startswith(("phantom-", "core-")))


@pytest.mark.parametrize("name", PACKAGED)
def test_a_data_set_holds_what_it_declares(name: str) -> None:
    """Every item of those that come with the package is of that kind."""
    kind = item_kind(name)
    assert {isinstance(item, kind) for item in dataset(name).load(DataSource())} == {True}


def test_every_data_set_declares_a_kind() -> None:
    """Only beginnings of texts are plain items."""
    plain = {name for name in DATASETS.table if item_kind(name) is Item}
    assert plain == {"advpromptset", "realtoxicityprompts", "toxigen"}


def test_data_sets_are_found_by_the_kind_of_their_items() -> None:
    """A passage's question is a question, too."""
    assert fitting(ConversationItem) == ["mt_bench"]
    assert set(fitting(PassageItem)) < set(fitting(QuestionItem))
    assert fitting(ConversationItem, PassageItem) == sorted(["mt_bench", *fitting(PassageItem)])

"""A seeded subset of items."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmsafety.datasets.selection import select
from pytest_llmsafety.errors import DatasetError
from pytest_llmsafety.types import Item

ITEMS = tuple(Item(f"item/{i}", f"prompt {i}") for i in range(200))


def test_the_subset_is_the_same_on_every_machine() -> None:
    """Five of 200 items under seed 0, written down once: neither platform nor process matters."""
    chosen = [item.id for item in select(ITEMS, 5, 0)]
    assert chosen == ["item/31", "item/32", "item/120", "item/134", "item/191"]


@settings(max_examples=30)
@given(st.integers(1, 250), st.integers(1, 250), st.integers(0, 9))
def test_a_larger_limit_only_adds_items(small: int, large: int, seed: int) -> None:
    """The items of a smaller limit are among the items of a larger one, in file order."""
    small, large = sorted((small, large))
    fewer, more = select(ITEMS, small, seed), select(ITEMS, large, seed)
    assert len(fewer) == min(small, 200)
    assert set(fewer) <= set(more)
    assert [item for item in ITEMS if item in set(more)] == list(more)


def test_the_order_of_the_items_does_not_change_the_choice() -> None:
    """Reversed items give the same subset, reversed."""
    assert select(ITEMS[::-1], 20, 3) == select(ITEMS, 20, 3)[::-1]


def test_seeds_choose_differently() -> None:
    """Two seeds share about a tenth of 20 in 200 items, not all of them."""
    assert len(set(select(ITEMS, 20, 0)) & set(select(ITEMS, 20, 1))) < 10


def test_no_limit_takes_everything() -> None:
    """None and a limit beyond the end give all items."""
    assert select(ITEMS, None, 0) == select(ITEMS, 1000, 0) == ITEMS


def test_duplicate_ids_are_refused() -> None:
    """Two items of one id could not be paired, even if they are equal."""
    with pytest.raises(DatasetError, match="item/3"):
        select((*ITEMS, ITEMS[3]), 10, 0)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    """Nothing to measure is an error, not an empty measurement."""
    with pytest.raises(DatasetError, match="Expected at least 1"):
        select(ITEMS, limit, 0)


def test_no_items_are_refused() -> None:
    """An empty data set is an error."""
    with pytest.raises(DatasetError, match="no items"):
        select((), None, 0)

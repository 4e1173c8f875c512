"""Units: items, or clusters of items."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats.units import make_units


def test_items_without_clusters_are_units() -> None:
    """Each item is a unit of size 1, and the changed items are counted by direction."""
    units = make_units([0.0, 0.5, -1.0, 1e-15])
    assert units.totals.tolist() == [0.0, 0.5, -1.0, 1e-15]
    assert units.sizes.tolist() == [1.0] * 4
    assert (units.n_items, units.n_units, units.n_worse, units.n_better) == (4, 4, 1, 1)
    assert not units.clustered


def test_clusters_add_up_weighted_values() -> None:
    """A cluster's total is the weighted sum of its items, its size the sum of their weights."""
    units = make_units([1.0, 2.0, 4.0], weights=[1, 3, 5], clusters=["b", "a", "b"])
    assert units.totals.tolist() == [21.0, 6.0]
    assert units.sizes.tolist() == [6.0, 3.0]
    assert units.estimate == pytest.approx(27 / 9)
    assert units.clustered


def test_influences_average_to_zero() -> None:
    """The pulls of the units cancel at the estimate."""
    units = make_units([1.0, 2.0, 4.0, 0.0], weights=[1, 3, 5, 2])
    assert units.influences.sum() == pytest.approx(0, abs=1e-12)


def test_labels_of_any_kind_name_the_same_clusters() -> None:
    """Texts, numbers and arrays give the same units."""
    values = [1.0, 2.0, 3.0, 4.0]
    for labels in (["x", "y", "x", "y"], [7, 3, 7, 3], np.array([7, 3, 7, 3]), [(1,), (2,)] * 2):
        assert make_units(values, clusters=labels).totals.tolist() == [4.0, 6.0]


def test_clusters_of_one_item_are_no_clusters() -> None:
    """When no label repeats the items are the units, whose range is known."""
    assert not make_units([0.0, 1.0, 0.5], clusters=["a", "b", "c"]).clustered


@pytest.mark.parametrize(
    ("values", "extra", "said"),
    [
        ([], {}, "at least one"),
        ([[1.0]], {}, "one number for each item"),
        ([0.0, np.nan], {}, "1 of 2 values are NaN or infinite, the first at 1"),
        ([np.inf], {}, "NaN or infinite"),
        ([None], {}, "NaN or infinite"),
        ([0.0, 1.0], {"weights": [1.0]}, "1 weights for 2 values"),
        ([0.0, 1.0], {"weights": [1.0, 0.0]}, "Expected positive ones"),
        ([0.0, 1.0], {"weights": [1.0, np.nan]}, "weights are NaN"),
        ([0.0, 1.0], {"clusters": ["a"]}, "1 clusters for 2 values"),
        ([0.0, 1.0], {"clusters": ["a", None]}, "cluster None"),
    ],
)
def test_degenerate_units_raise(
    values: list[float], extra: dict[str, list[float]], said: str
) -> None:
    """What cannot be aligned or counted is refused, in words."""
    with pytest.raises(StatisticsError, match=said):
        make_units(values, **extra)

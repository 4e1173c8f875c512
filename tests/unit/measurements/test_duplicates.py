"""Items that ask the same thing are one unit."""

from __future__ import annotations

from pytest_llmsafety.measurements.duplicates import requests_of, together
from pytest_llmsafety.metrics.exact_match import ExactMatch
from pytest_llmsafety.types import Item, QuestionItem


def clusters(asked, labels=None):
    """The clusters that items with these requests get."""
    labels = labels or [None] * len(asked)
    items = [Item(str(n), "", cluster=label) for n, label in enumerate(labels)]
    found, notes = together(items, asked)
    return [item.cluster for item in found], notes


def test_items_that_differ_stay_alone():
    """Nothing changes, and nothing is noted."""
    assert clusters(["a", "b", "c"]) == ([None, None, None], ())


def test_equal_requests_are_one_cluster():
    """Whatever their ids; the note counts them."""
    found, (note,) = clusters(["a", "b", "a", "a"])
    assert found == ["equal requests of item 0", None, *["equal requests of item 0"] * 2]
    assert (
        note == "2 items with the same requests as another item; they count as one cluster with it"
    )


def test_clusters_that_repeat_each_other_are_joined():
    """Two hundred clusters with the same item in each are one cluster, also through a third."""
    found, _ = clusters(["a"] * 200, [f"page {n}" for n in range(200)])
    assert set(found) == {"equal requests of cluster page 0"}
    found, _ = clusters(["a", "a", "b", "b", "c"], ["x", "y", "y", "z", "other"])
    assert found == [*["equal requests of cluster x"] * 4, "other"]


def test_a_few_repetitions_do_not_join_large_clusters():
    """One question in two subjects of ten leaves both as they are, and is noted."""
    asked = ["both", *"abcdefghi", "both", *"jklmnopqr"]
    found, notes = clusters(asked, ["law"] * 10 + ["ethics"] * 10)
    assert found == ["law"] * 10 + ["ethics"] * 10
    assert notes == ("1 item with the same requests as another item; the clusters stay apart",)


def test_repetitions_inside_a_cluster_are_no_news():
    """They are one unit already."""
    assert clusters(["a", "a"], ["page", "page"]) == (["page", "page"], ())


def test_the_key_of_the_noise_does_not_tell_items_apart():
    """It is the item's id, so it would hide every repetition."""
    items = [QuestionItem(name, "Capital of Peru:", answers=("Lima",)) for name in "ab"]
    one, other = requests_of(items, ExactMatch())
    assert one == other

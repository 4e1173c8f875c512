"""The worst value of an unseen unit."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats.bounds import p_within
from pytest_llmsafety.stats.criterion import Criterion
from pytest_llmsafety.stats.units import make_units
from pytest_llmsafety.stats.unseen import assumed, from_clusters, from_support, from_texts

WHOLE = (-1.0, 1.0)  # lowest, highest


def test_the_support_of_equal_items_needs_no_assumption() -> None:
    """Items of one weight cannot leave the range of their deltas."""
    unseen = from_support(make_units([0.0, 0.5]), WHOLE)
    assert (unseen.worst, unseen.best, unseen.assumption) == (1.0, -1.0, "")


def test_an_unseen_item_weighs_as_much_as_the_heaviest() -> None:
    """Unequal weights are no assumption, because the heaviest that was seen is taken."""
    unseen = from_support(make_units([0.0, 0.5], weights=[1, 3]), WHOLE)
    assert (unseen.size, unseen.assumption) == (1.5, "")


def test_so_many_clusters_leave_nothing_to_assume() -> None:
    """From 120 clusters on an unseen one may change by all that a score can."""
    units = make_units(np.zeros(240), clusters=np.arange(240) // 2)
    unseen = from_clusters(units, Criterion(0.02), WHOLE)
    assert (unseen.worst, unseen.best, unseen.assumption, unseen.guarded) == (1.0, -1.0, "", False)


@pytest.mark.parametrize("n_clusters", [20, 25, 40, 119])
def test_the_assumption_is_as_weak_as_the_number_of_clusters_allows(n_clusters: int) -> None:
    """Identical clusters pass at half the error rate, and the sentence says what that takes."""
    units = make_units(np.zeros(2 * n_clusters), clusters=np.arange(2 * n_clusters) // 2)
    unseen = from_clusters(units, Criterion(0.01), WHOLE)
    p = p_within(units.totals, units.sizes, margin=0.01, worst=unseen.worst)
    assert p == pytest.approx(0.025)
    assert f"no unseen cluster rises by over {unseen.worst:+.3g}" in unseen.assumption
    assert unseen.best == pytest.approx(min(-0.5, -unseen.worst))


def test_a_cluster_that_stands_out_is_the_worst() -> None:
    """What was seen can be seen again."""
    values = np.r_[np.zeros(78), 0.9, 0.9]
    unseen = from_clusters(make_units(values, clusters=np.arange(80) // 2), Criterion(0.02), WHOLE)
    assert unseen.worst == pytest.approx(0.9)


def test_three_spreads_count_where_they_are_more() -> None:
    """With an even spread the mean + 3 sd lies beyond the worst that was seen."""
    values = np.repeat(np.linspace(-0.2, 0.2, 15), 2)
    unseen = from_clusters(make_units(values, clusters=np.arange(30) // 2), Criterion(0.001), WHOLE)
    assert unseen.worst == pytest.approx(3 * np.linspace(-0.2, 0.2, 15).std(ddof=1))


def test_the_ends_stay_inside_the_support() -> None:
    """A guess beyond what a score can be is cut there; a single cluster gives the support."""
    values = np.repeat([-1.0, 1.0], 10)
    unseen = from_clusters(make_units(values, clusters=np.arange(20) // 2), Criterion(0.02), WHOLE)
    assert (unseen.best, unseen.worst) == WHOLE
    one = from_clusters(make_units([0.0, 0.0], clusters=["a", "a"]), Criterion(0.02), WHOLE)
    assert (one.best, one.worst) == WHOLE


def test_texts_have_floors_in_nats() -> None:
    """A loss has no largest value: what a text may lose at least is stated."""
    units = make_units(np.full(40, 0.01), clusters=np.arange(40))
    unseen = from_texts(units, (3.0, 1.0))
    assert (unseen.worst, unseen.best) == (3.0, -1.0)
    assert "no unseen text rises by over 3 nats per token or falls by over 1" in unseen.assumption
    assert from_texts(units, (1.0, 0.0), (0.0, np.inf)).best == 0


def test_an_assumption_that_the_data_refute_gives_way() -> None:
    """An unseen unit cannot be assumed better than one that was seen, or beyond the support."""
    units = make_units([0.0, 0.5])
    assert "no unseen item" in assumed(units, 0.6, WHOLE).assumption
    assert assumed(units, 1.0, WHOLE).assumption == assumed(units, 2.0, WHOLE).assumption == ""
    assert assumed(units, 0.4, WHOLE).worst == 0.5
    for worst in (0.0, np.nan):
        with pytest.raises(StatisticsError, match="worst is"):
            assumed(units, worst, WHOLE)

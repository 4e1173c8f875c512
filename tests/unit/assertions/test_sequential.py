"""How many items a decision takes: blocks in a fixed random order, up to the first verdict."""

from __future__ import annotations

import dataclasses

import pytest

from pytest_llmsafety.assertions.claims import Claim
from pytest_llmsafety.assertions.means import assess_groups, assess_mean
from pytest_llmsafety.assertions.sequential import FEWEST_CLUSTERS, FEWEST_ITEMS, looks, obstacle
from pytest_llmsafety.datasets.selection import shuffled
from pytest_llmsafety.stats import Outcome
from pytest_llmsafety.types import Item
from tests.stand_ins.lazy_measurement import ITEMS, lazy


def same(key):  # noqa: ARG001 - every item alike
    """The right answer to every item."""
    return "1"


def broken(key):
    """A wrong answer to every third item."""
    return "0" if int(key[1:]) % 3 == 0 else "1"


@pytest.mark.parametrize(("says", "outcome"), [(same, Outcome.PASS), (broken, Outcome.FAIL)])
@pytest.mark.parametrize("scope", ["population", "suite"])
def test_asking_ends_at_the_first_verdict(says, outcome, scope):
    """A model that is the same, or a third wrong, is known long before 3,000 items."""
    measuring, engine = lazy(says, scope=scope)
    verdict = assess_mean(measuring, Claim(0.05))
    assert verdict.outcome is outcome
    assert verdict.stopped_early
    assert engine.asked == verdict.n_asked < 300
    assert verdict.n_asked % 64 == 0


def test_early_stop_off_asks_everything():
    """With the setting off the fixed-n decision sees all items."""
    measuring, engine = lazy(same, early_stop=False)
    verdict = assess_mean(measuring, Claim(0.05))
    assert (verdict.n_asked, engine.asked, verdict.stopped_early) == (3000, 3000, False)
    assert verdict.notes == ()


def test_few_items_are_all_asked_and_it_is_said():
    """Below a thousand items the fixed-n decision is used, with a note; in suite scope not."""
    verdict = assess_mean(lazy(same, ITEMS[:900])[0], Claim(0.05))
    assert verdict.n_asked == 900
    assert "1,000 items, and there are 900" in verdict.notes[0]
    assert assess_mean(lazy(same, ITEMS[:900])[0], Claim(0.05, scope="suite")).n_asked < 900


def test_a_missing_score_ends_the_asking():
    """An item without a score makes the verdict INCONCLUSIVE, so no further item is asked."""
    early = shuffled(ITEMS, 0)[70].id
    measuring, engine = lazy(lambda key: "?" if key == early else "1")
    verdict = assess_mean(measuring, Claim(0.01))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert engine.asked == verdict.n_asked == 128
    assert "1 of" in verdict.reasons[0]


def test_a_narrow_margin_is_decided_at_once():
    """Where a sequential test could not pass identical outputs in time, n is fixed."""
    verdict = assess_mean(lazy(same)[0], Claim(0.0015))
    assert (verdict.outcome, verdict.n_asked) == (Outcome.PASS, 3000)
    assert "items, and there are 3000" in verdict.notes[0]


def test_in_a_session_family_a_fail_is_seen_to_its_end():
    """Holm needs the whole p-value, so asking goes on after FAIL, and not after PASS."""
    assert assess_mean(lazy(broken, family="session")[0], Claim(0.05)).n_asked == 3000
    assert assess_mean(lazy(same, family="session")[0], Claim(0.05)).n_asked < 300


def test_several_assertions_share_what_was_asked():
    """A second assertion on the same measurement asks only what the first one did not."""
    measuring, engine = lazy(same)
    first = assess_mean(measuring, Claim(0.05)).n_asked
    assert assess_mean(measuring, Claim(0.05)).n_asked == engine.asked == first
    assert assess_mean(measuring, Claim(0.02)).n_asked == engine.asked > first


def test_every_group_is_decided_before_asking_ends():
    """Groups stop together: PASS when all are shown, FAIL when one survives e-Holm."""
    passed, failed = (assess_groups(lazy(says)[0], Claim(0.05)) for says in (same, broken))
    assert (passed.outcome, failed.outcome) == (Outcome.PASS, Outcome.FAIL)
    assert passed.stopped_early
    assert failed.stopped_early
    assert {group.group for group in passed.groups} == {"g0", "g1"}


def test_contrasts_of_groups_ask_everything():
    """Only the worst group can stop early, and the verdict says so."""
    verdict = assess_groups(lazy(same)[0], Claim(0.05), contrast="rest")
    assert verdict.n_asked == 3000
    assert "only the worst group" in verdict.notes[0]


def test_a_look_never_cuts_a_cluster():
    """Looks are 64 units apart, or a 64th of all, and end with the last item."""
    assert list(looks(ITEMS[:200])) == [64, 128, 192, 200]
    assert len(list(looks([Item(f"{n}", "") for n in range(12_000)]))) == 64
    clustered = [dataclasses.replace(item, cluster=f"c{n // 3}") for n, item in enumerate(ITEMS)]
    assert all(n % 3 == 0 for n in looks(clustered))


def test_clusters_stop_early_from_two_hundred_on():
    """With fewer clusters all items are asked; with enough the cluster is the unit."""
    assert "200 clusters, and there are 199" in obstacle(199, clustered=True, scope="population")
    assert obstacle(FEWEST_CLUSTERS, clustered=True, scope="population") == ""
    assert obstacle(FEWEST_ITEMS, clustered=False, scope="population") == ""
    items = tuple(dataclasses.replace(item, cluster=f"c{n // 3}") for n, item in enumerate(ITEMS))
    verdict = assess_mean(lazy(same, items)[0], Claim(0.05))
    assert verdict.stopped_early
    assert verdict.decision is not None
    assert verdict.decision.n_items == 3 * verdict.decision.n_units


def test_how_many_items_are_asked_at_a_time_does_not_move_the_verdict():
    """Where two models do not fit at once more is asked, and the verdict stays the same."""
    roomy, crowded = lazy(broken), lazy(broken)
    crowded[1].crowded = True
    verdicts = [assess_mean(measuring, Claim(0.3)) for measuring, _ in (roomy, crowded)]
    assert verdicts[0] == verdicts[1]
    assert crowded[1].asked >= roomy[1].asked

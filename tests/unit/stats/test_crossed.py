"""Items that share several things at once."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats import Outcome, decide_mean
from pytest_llmsafety.stats.crossed import decide_crossed

PAIRS = list(combinations(range(20), 2))
RUNS = 200


def questions(effects: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Changes of one question a pair, each the effects of both subjects and some noise."""
    return np.array([effects[a] + effects[b] + rng.normal(0, 0.02) for a, b in PAIRS])


def decided(values: np.ndarray) -> Outcome:
    """The outcome by pairs and by subjects."""
    factors = {"pairs": [(pair,) for pair in PAIRS], "subjects": PAIRS}
    return decide_crossed(values, factors, margin=0.05).outcome


def test_subjects_that_move_together_are_no_independent_pairs() -> None:
    """With the true change at the margin, pairs alone err often, and the widest decision rarely."""
    rng, wrong, naive = np.random.default_rng(4), 0, 0
    for _ in range(RUNS):
        values = np.clip(0.05 + questions(rng.normal(0, 0.05, 20), rng), -1, 1)
        wrong += decided(values) is not Outcome.INCONCLUSIVE
        p = decide_mean(values, margin=0.05)
        naive += p.p_fail <= 0.05
    assert wrong / RUNS <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / RUNS)
    assert naive / RUNS > 0.1


def test_a_clear_change_is_still_decided() -> None:
    """No change passes, and four times the margin fails."""
    rng = np.random.default_rng(5)
    effects = rng.normal(0, 0.01, 20)
    assert decided(questions(effects, rng)) is Outcome.PASS
    assert decided(np.clip(0.2 + questions(effects, rng), -1, 1)) is Outcome.FAIL


def test_a_handful_of_members_is_spoken_of_alone() -> None:
    """Five activities are no sample of activities, and the decision says so."""
    factors = {"pairs": [(pair,) for pair in PAIRS], "activities": [(n % 5,) for n in range(190)]}
    decision = decide_crossed(np.zeros(190), factors, margin=0.05)
    assert decision.outcome is Outcome.PASS
    assert decision.assumption == "the decision is about these 5 activities only"


def test_an_item_without_a_member_is_refused() -> None:
    """Every item has to say what it shares."""
    with pytest.raises(StatisticsError, match="no member"):
        decide_crossed([0.0, 0.0], {"pairs": [("a",), ()]}, margin=0.05)
    with pytest.raises(StatisticsError, match="no grouping"):
        decide_crossed([0.0], {}, margin=0.05)

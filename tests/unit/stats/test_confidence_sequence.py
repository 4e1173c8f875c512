"""The interval of a sequential test."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_llmsafety.stats.e_process import (
    BEYOND,
    WITHIN,
    Design,
    EProcess,
    Path,
    confidence_sequence,
)


def path(values: np.ndarray, every: int) -> Path:
    """Take values as units of size 1 with regular looks."""
    looks = frozenset([*range(every, values.size + 1, every), values.size])
    return Path(values, np.ones_like(values), looks)


def refuted(terms: Design, seen: Path, margin: float, side: float) -> bool:
    """Tell whether one margin alone is refuted at some look."""
    process = EProcess(terms, margin, side)
    for total in seen.totals:
        process.add(total)
        if process.n in seen.looks:
            process.look()
    return bool(process.largest >= 1 / terms.alpha)


@pytest.mark.parametrize("finite", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_each_bound_is_where_the_bets_begin_to_win(*, finite: bool, seed: int) -> None:
    """A margin a little inside a bound stands, and the bound itself is refuted."""
    values = np.random.default_rng(seed).choice([-1.0, 0.0, 0.2, 1.0], 200, p=[0.1, 0.6, 0.2, 0.1])
    terms, seen = Design((-1.0, 1.0), 300, 0.05, finite=finite), path(values, 25)
    lower, upper = confidence_sequence(terms, seen)
    step = 2 / 128**2
    assert refuted(terms, seen, upper, WITHIN)
    assert not refuted(terms, seen, upper - 1.01 * step, WITHIN)
    assert refuted(terms, seen, lower, BEYOND)
    assert not refuted(terms, seen, lower + 1.01 * step, BEYOND)


def test_nothing_seen_excludes_nothing() -> None:
    """One quiet unit leaves the whole support."""
    assert confidence_sequence(Design((-1.0, 1.0), 100, 0.05), path(np.zeros(1), 1)) == (-1.0, 1.0)


def test_the_interval_covers_the_truth_at_all_looks() -> None:
    """Looks at every tenth of 150 units leave the true mean out in at most 5% on either side."""
    runs, truth = 150, 0.1
    rng, terms = np.random.default_rng(8), Design((-1.0, 1.0), 150, 0.05)
    missed = np.zeros(2)
    for _ in range(runs):
        drawn = rng.choice([-1.0, 0.0, 1.0], 150, p=[0.1, 0.7, 0.2])
        lower, upper = confidence_sequence(terms, path(drawn, 10))
        missed += lower > truth, upper < truth
    assert (missed / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)).all()

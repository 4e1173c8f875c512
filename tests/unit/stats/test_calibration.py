"""Error rates when the true change equals the margin: the acceptance rule of statistics.md."""

from __future__ import annotations

import importlib
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_llmsafety.stats import SequentialTest, unseen
from pytest_llmsafety.stats.bounds import p_beyond, p_within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from numpy.typing import NDArray

    from pytest_llmsafety.stats.e_process import EProcess

RUNS, N, MARGIN, ALPHA = 2000, 200, 0.02, 0.05
BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
ACCEPTED = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)


def flips(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return 4% flips each way, and harm of the size of the margin on top."""
    return rng.choice([-1.0, 0.0, 1.0], N, p=[0.04, 0.9, 0.06])


def rare_jumps(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return rare jumps of about +.9, as many as make a mean equal to the margin."""
    jumps = np.round(rng.uniform(0.8, 1.0, N), 3)
    return np.where(rng.random(N) < MARGIN / 0.9, jumps, 0.0)


@pytest.mark.parametrize(
    ("draw", "z_false_pass"), [(flips, 0.04), (rare_jumps, 0.1)], ids=["flips", "rare-jumps"]
)
def test_false_verdicts_stay_at_five_percent(
    draw: Callable[[np.random.Generator], NDArray[np.float64]], z_false_pass: float
) -> None:
    """Neither a false PASS nor a false FAIL is too frequent, where a z interval's false PASS is."""
    rng, ones = np.random.default_rng(2024), np.ones(N)
    runs = [draw(rng) for _ in range(RUNS)]
    false_pass = np.mean([p_within(d, ones, margin=MARGIN, worst=1.0) <= ALPHA for d in runs])
    false_fail = np.mean([p_beyond(d, ones, margin=MARGIN, best=-1.0) <= ALPHA for d in runs])
    assert false_pass <= ACCEPTED
    assert false_fail <= ACCEPTED
    naive = [d.mean() + 1.645 * d.std(ddof=1) / math.sqrt(N) < MARGIN for d in runs]
    assert np.mean(naive) > max(z_false_pass, false_pass)


@pytest.fixture(scope="module")
def benchmark() -> Iterator[Callable[[str], ModuleType]]:
    """Load the parts of the calibration benchmark, whatever else has their short names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        for part in BENCHMARKS.glob("*.py"):
            patch.delitem(sys.modules, part.stem, raising=False)
        yield importlib.import_module
        for part in BENCHMARKS.glob("*.py"):
            sys.modules.pop(part.stem, None)


def test_each_law_has_exactly_the_mean_that_it_is_asked_for(
    benchmark: Callable[[str], ModuleType],
) -> None:
    """The truth of a simulation is at the margin by construction, for samples and for suites."""
    scenarios = benchmark("scenarios")
    for scenario in scenarios.SCENARIOS:
        for change in (0.01, 0.02, 0.06):
            law = scenario(change)
            assert law.mean == pytest.approx(change, abs=1e-12)
            assert law.shares.sum() == pytest.approx(1)
            assert law.shares.min() >= 0
            suite = law.suite(2000)
            assert suite.size == 2000
            assert suite.mean() == pytest.approx(change, abs=1e-12)
            assert np.abs(suite).max() <= 1
            drawn = law.draw(np.random.default_rng(1), (100_000,))
            assert drawn.mean() == pytest.approx(change, abs=5 * law.spread / math.sqrt(1e5))
    assert scenarios.toxicity(0.0).spread == pytest.approx(0.09, abs=0.01)


def test_each_attack_on_clusters_has_the_mean_that_it_is_asked_for(
    benchmark: Callable[[str], ModuleType],
) -> None:
    """Whichever clusters carry the harm, the true change is at the margin."""
    attacks, rng = benchmark("attacks"), np.random.default_rng(3)
    for law in (attacks.rare_bad, attacks.rare_good, attacks.subjects):
        drawn = law(rng, n=10_000, part=0.1)
        assert drawn.deltas.mean() == pytest.approx(0.05, abs=0.008)
    assert attacks.pages(rng, n=50_000, margin=0.02).deltas.mean() == pytest.approx(0.02, abs=0.002)


SHORT = {
    ("pages of 1 or 2: shift, 1% jumps of .9", "130", "mean .02"): 120,
    ("harm in 5% of clusters", "119", "mean .05"): 50,
    ("texts: 3% hold 70%", "60", "KL .05"): 120,
    ("independent flips, any", "500", "flips .05"): 80,
    ("looks at harmful flips, population", "2,000", "mean .05"): 12,
    ("looks at harmful flips, suite", "2,000", "mean .05"): 12,
}
"""Replicates of the attacks that a short run repeats: one for each way to be misled."""


def wrong_passes(
    benchmark: Callable[[str], ModuleType], attack: tuple[str, str, str], runs: int
) -> float:
    """Return how often an attack ends in a PASS."""
    known = {(one.name, one.size, one.gate): one for one in benchmark("attacks").attacks()}
    rng = np.random.default_rng(12)
    return sum(known[attack].outcome(rng) == "PASS" for _ in range(runs)) / runs


@pytest.mark.parametrize("attack", SHORT, ids=lambda attack: f"{attack[0]}, {attack[2]}")
def test_no_attack_on_a_public_assertion_passes_too_often(
    benchmark: Callable[[str], ModuleType], attack: tuple[str, str, str]
) -> None:
    """A PASS with the change at the margin is no more frequent than 5% and the noise explain."""
    accepted = benchmark("calibration").accepted(SHORT[attack])
    assert wrong_passes(benchmark, attack, SHORT[attack]) <= accepted


def test_every_attack_is_drawn_and_judged(benchmark: Callable[[str], ModuleType]) -> None:
    """Each of them, on ten gates and more, ends in a verdict."""
    attacks = benchmark("attacks").attacks()
    assert len({attack.gate for attack in attacks}) >= 10
    outcomes = {attack.outcome(np.random.default_rng(4)) for attack in attacks}
    assert outcomes <= {"PASS", "FAIL", "INCONCLUSIVE"}


def _no_invented_unit(totals: Any, sizes: Any, *, margin: float, **_: Any) -> float:
    """Return the p-value with an invented unit that is hardly worse than the margin."""
    return p_within(totals, sizes, margin=margin, worst=margin * (1 + 1e-6))


def _as_far_as_seen(units: Any, gate: Any, support: tuple[float, float]) -> unseen.Unseen:
    """Return unseen clusters no worse than those that were seen, however many there are."""
    worst, best = unseen.spread_of(units, 1.0)
    worst = max(worst, gate.pass_margin * 1.01)
    return unseen.Unseen(worst, best, guarded=True, limit=support[1])


def _look_carelessly(process: EProcess) -> None:
    """Take a doubled stake at any look for enough."""
    won = np.where(process.e >= 2, np.inf, process.e)
    process.largest = np.maximum(process.largest, won)


@pytest.mark.parametrize(
    ("attack", "broken"),
    [
        (0, {"stats.fixed_sample.p_within": _no_invented_unit}),
        (2, {"stats.fixed_sample.p_within": _no_invented_unit}),
        (0, {"stats.unseen.from_clusters": _as_far_as_seen}),
        (1, {"assertions.claims.clusters": lambda _: None}),
        (4, {"stats.e_process.EProcess.look": _look_carelessly}),
    ],
    ids=["invented", "invented-text", "unseen", "clusters", "looks"],
)  # fmt: skip
def test_the_short_attacks_find_a_gate_that_is_broken(
    benchmark: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    attack: int,
    broken: dict[str, object],
) -> None:
    """Without one of the rules the same attack passes more often than is accepted."""
    chosen, runs = list(SHORT.items())[attack]
    for name, mutant in broken.items():
        monkeypatch.setattr(f"pytest_llmsafety.{name}", mutant)
    assert wrong_passes(benchmark, chosen, runs) > benchmark("calibration").accepted(runs)


@pytest.mark.parametrize("scope", ["population", "suite"])
def test_the_benchmark_runs_the_gate_that_is_shipped(
    benchmark: Callable[[str], ModuleType], scope: str
) -> None:
    """Many tests at once stop where each SequentialTest stops, with its outcome."""
    law = benchmark("scenarios").flips(0.05)
    drawn = law.draw(np.random.default_rng(9), (12, 400))
    stops = benchmark("gates").sequential(drawn, 0.02, finite=scope == "suite", every=50)
    for row, passed, failed, n in zip(drawn, *stops, strict=True):
        test = SequentialTest(margin=0.02, n_max=400, scope=scope)
        while test.outcome == "INCONCLUSIVE" and test.n < 400:
            test.update(row[test.n : test.n + 50])
        expected = "PASS" if passed else "FAIL" if failed else "INCONCLUSIVE"
        assert (test.outcome, test.n) == (expected, n)


@pytest.mark.parametrize("name", ["fixed", "sequential", "share", "groups", "naive"])
def test_the_rates_of_the_benchmark_are_accepted(
    benchmark: Callable[[str], ModuleType], name: str
) -> None:
    """A short run of each table has no error rate above 5% and the noise of 150 runs."""
    calibration = benchmark("calibration")
    assert set(calibration.TABLES) >= {name}
    table = calibration.TABLES[name](150, np.random.default_rng(2026))
    assert table.judged
    assert table.broken() == []


def test_a_broken_rate_is_named(benchmark: Callable[[str], ModuleType]) -> None:
    """A rate of one in five is not accepted, and the line says where it was found."""
    table = benchmark("calibration").Table("Peeking", ["a", "b"], [["x", "y"]])
    assert table.judge("t interval", np.arange(1000) % 5 == 0) == "0.200"
    assert table.broken() == ["Peeking: t interval: 0.200 is above 0.071"]
    assert str(table).splitlines()[-1] == "| x | y |"

"""Our statistics against the reference implementation, its stored values and scipy."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.stats import beta

from pytest_llmsafety.stats import (
    Outcome,
    SequentialTest,
    decide_groups,
    decide_mean,
    decide_ratio,
    holm,
    n_needed,
    rule_of_three,
)
from pytest_llmsafety.stats.bounds import (
    dirichlet_tail,
    lower_bound,
    p_beyond,
    p_within,
    upper_bound,
)
from pytest_llmsafety.stats.e_process import BEYOND, WITHIN, Design, EProcess

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "stats"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="shared/ is absent")

MARGINS = (0.02, 0.05, 0.1)
WITH_TIES = {
    "R2 96x0,3x+1,1x-1": np.r_[np.zeros(96), np.ones(3), -1.0],
    "R3b 200: 190x0, 6x+.5, 4x-.25": np.r_[np.zeros(190), np.full(6, 0.5), np.full(4, -0.25)],
}


@pytest.fixture(scope="module")
def oracle() -> ModuleType:
    """Load the reference implementation from its file."""
    spec = importlib.util.spec_from_file_location("llmstat_oracle", SHARED / "llmstat.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    """Read the stored reference values."""
    values: dict[str, Any] = json.loads((SHARED / "refvals.json").read_text(encoding="utf-8"))
    return values


def drawn(kind: str, seed: int) -> NDArray[np.float64]:
    """Draw 150 deltas of one kind."""
    rng = np.random.default_rng(seed)
    if kind == "flips":
        return rng.choice([-1.0, 0.0, 1.0], 150, p=[0.05, 0.88, 0.07])
    if kind == "toxicity":
        return np.where(rng.random(150) < 0.55, 0.0, np.clip(rng.normal(0.01, 0.2, 150), -1, 1))
    return np.clip(rng.normal(0.02, 0.1, 150), -1, 1)


@needs_shared
@pytest.mark.parametrize("kind", ["flips", "toxicity", "continuous"])
@pytest.mark.parametrize("seed", range(3))
def test_decide_mean_agrees_with_the_oracle(oracle: ModuleType, kind: str, seed: int) -> None:
    """Outcome, interval, p-values and planned numbers are the oracle's, without clusters."""
    deltas = drawn(kind, seed)
    for margin in MARGINS:
        # A dense score of 0 makes the compressed one the delta; the oracle wants its support.
        pair = oracle.PairedSample(np.maximum(-deltas, 0), np.maximum(deltas, 0))
        theirs, ours = oracle.decide_mean(pair, margin), decide_mean(deltas, margin=margin)
        estimate = theirs.estimate
        assert ours.outcome.value == theirs.verdict.value
        assert ours.estimate == pytest.approx(estimate.value, abs=1e-12)
        assert ours.lower == pytest.approx(estimate.lower, abs=1e-8)
        assert ours.upper == pytest.approx(estimate.upper, abs=1e-8)
        assert ours.p_pass == pytest.approx(estimate.p_pass, rel=1e-7)
        assert ours.p_fail == pytest.approx(estimate.p_fail, rel=1e-7)
        assert ours.changed_share == pytest.approx(estimate.flip_rate)
        assert (ours.n_needed_80, ours.n_needed_90) == (theirs.n_needed_80, theirs.n_needed_90)


@needs_shared
@pytest.mark.parametrize("seed", range(4))
def test_clusters_agree_with_the_oracle(oracle: ModuleType, seed: int) -> None:
    """Clusters of unequal size give the oracle's p-values for the same unseen cluster."""
    deltas = drawn("toxicity", seed)
    clusters = np.random.default_rng(seed).integers(0, 30, deltas.size)
    pair = oracle.PairedSample(np.maximum(-deltas, 0), np.maximum(deltas, 0), cluster=clusters)
    theirs = oracle.decide_mean(pair, 0.05)
    ours = decide_mean(deltas, margin=0.05, clusters=clusters, worst=1.0)
    assert ours.n_units == theirs.estimate.n_units
    assert ours.estimate == pytest.approx(theirs.estimate.value)
    totals, sizes = np.bincount(clusters, deltas), np.bincount(clusters).astype(float)
    for ends, p in ((1.0, ours.p_pass), (-1.0, ours.p_fail)):
        side = "pass" if ends > 0 else "fail"
        expected = oracle.p_one_sided(totals, sizes, 0.05, ends, side, n_adv=sizes.max())
        assert p == pytest.approx(expected, rel=1e-7)
    upper = oracle.bound(totals, sizes, 0.05, 1.0, "pass", n_adv=sizes.max())
    assert ours.upper == pytest.approx(upper, abs=1e-8)


@needs_shared
def test_perplexity_agrees_with_the_oracle(oracle: ModuleType) -> None:
    """Log-perplexity over documents has the oracle's p-values and bounds at the same worst."""
    rng = np.random.default_rng(1)
    documents, tokens = np.arange(240) // 3, rng.integers(200, 512, 240).astype(float)
    delta = tokens * rng.normal(0.02, 0.05, 240)
    ours = decide_ratio(delta, tokens, max_ratio=1.05, clusters=documents)
    totals, sizes = np.bincount(documents, delta), np.bincount(documents, tokens)
    margin = np.log(1.05)
    largest = sizes.max()
    expected = oracle.p_one_sided(totals, sizes, margin, 3.0, "pass", n_adv=largest)
    assert ours.p_pass == pytest.approx(expected, rel=1e-7)
    upper = oracle.bound(totals, sizes, 0.05, 3.0, "pass", n_adv=largest)
    lower = oracle.bound(totals, sizes, 0.05, -1.0, "fail", n_adv=largest)
    assert (ours.lower, ours.upper) == pytest.approx((lower, upper), abs=1e-8)


@needs_shared
@pytest.mark.parametrize("seed", range(4))
def test_groups_agree_with_the_oracle(oracle: ModuleType, seed: int) -> None:
    """The joint outcome of groups is the oracle's."""
    deltas = np.concatenate([drawn("flips", seed + i) for i in range(4)])
    deltas[:150] = np.where(np.arange(150) < 10 * seed, 1.0, deltas[:150])
    groups = np.repeat(["a", "b", "c", "d"], 150)
    pair = oracle.PairedSample(np.maximum(-deltas, 0), np.maximum(deltas, 0), group=groups)
    for margin in (0.05, 0.1):
        theirs = oracle.decide_groups(pair, margin)
        assert decide_groups(deltas, groups, margin=margin).outcome.value == theirs.verdict.value


@needs_shared
def test_planning_agrees_with_the_oracle(oracle: ModuleType) -> None:
    """Planned numbers are the oracle's for several pilots, margins, powers and changes."""
    for kind in ("flips", "toxicity", "continuous"):
        pilot = drawn(kind, 3)
        for margin, assumed, power in ((0.02, 0.0, 0.8), (0.05, 0.025, 0.9), (0.05, 0.1, 0.8)):
            ours = n_needed(pilot, margin=margin, assumed=assumed, power=power)
            assert ours == oracle.n_needed(pilot, margin, assumed, power)


@needs_shared
def test_holm_agrees_with_the_oracle(oracle: ModuleType) -> None:
    """Fifty random families are rejected as the oracle does."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        p_values = {str(i): float(p) for i, p in enumerate(rng.beta(0.3, 2, 8))}
        assert holm(p_values) == oracle.holm(p_values)


@needs_shared
@pytest.mark.parametrize(("n", "k"), [(50, 0), (50, 3), (200, 4)])
def test_stored_clopper_pearson_bounds(stored: dict[str, Any], n: int, k: int) -> None:
    """On 0/1 data ours are the exact bounds stored, to their six digits."""
    row = stored[f"R1 0/1 n={n} k={k}"]
    deltas, ones = np.r_[np.ones(k), np.zeros(n - k)], np.ones(n)
    upper = upper_bound(deltas, ones, worst=1.0, alpha=0.05)
    lower = lower_bound(deltas, ones, best=0.0, alpha=0.05)
    assert round(upper, 6) == row["U_exact(scipy.stats.beta)"]
    assert abs(round(lower, 6)) == row["L_exact"]


@needs_shared
@pytest.mark.parametrize("name", WITH_TIES)
def test_stored_p_values_and_intervals(stored: dict[str, Any], name: str) -> None:
    """P-values and intervals are the reference's to the stored digits, and near the exact ones."""
    row, deltas = stored[name], WITH_TIES[name]
    ones = np.ones_like(deltas)
    for margin in MARGINS:
        p_pass = p_within(deltas, ones, margin=margin, worst=1.0)
        p_fail = p_beyond(deltas, ones, margin=margin, best=-1.0)
        numbers = row[f"tol={margin}"]
        assert round(p_pass, 6) == numbers["p_pass ours"]
        assert round(p_fail, 6) == numbers["p_fail ours"]
        assert p_pass == pytest.approx(numbers["p_pass exact(Imhof)"], abs=0.011)
        assert p_fail == pytest.approx(numbers["p_fail exact"], abs=0.011)
    decision = decide_mean(deltas, margin=0.02)
    interval = (decision.lower, decision.upper)
    assert [round(end, 5) for end in interval] == row["90% CI ours"]
    assert interval == pytest.approx(row["90% CI exact"], abs=3e-4)


@needs_shared
def test_stored_clusters(stored: dict[str, Any]) -> None:
    """Twelve clusters of unequal size have the stored estimate and p-value."""
    row = stored["R4 12 clusters S/n"]
    totals, sizes = np.array(row["S"]), np.array(row["n"])
    assert totals.sum() / sizes.sum() == row["est"]
    p = p_within(totals, sizes, margin=0.1, worst=0.5)
    assert round(p, 6) == row["p_pass(tol=.1,worst=.5)"]
    assert p == pytest.approx(row["exact"], abs=5e-4)


@needs_shared
def test_stored_rule_of_three_and_planned_numbers(stored: dict[str, Any]) -> None:
    """The floors and the planned numbers are the stored ones."""
    for margin, floor in stored["R6 rule of three"].items():
        assert rule_of_three(float(margin)) == floor
    pilot = np.r_[np.zeros(92), np.ones(4), -np.ones(4)]
    for key, n in stored["R8 n_needed pilot 92x0,4x+1,4x-1"].items():
        margin, assumed, power = (float(part.split("=")[1]) for part in key.split())
        assert n_needed(pilot, margin=margin, assumed=assumed, power=power) == n


@needs_shared
def test_stored_e_values(stored: dict[str, Any]) -> None:
    """After each unit the e-value of PASS and of FAIL is the stored one, in both scopes."""
    single = {"alpha": 0.05, "horizons": ((1, 1.0),)}
    sample = EProcess(Design((-1.0, 1.0), 4, **single), 0.05, [WITHIN, BEYOND])
    rows = stored["R5 ladder tol=.05 x=0,0,1,0 n_max=4 single horizon"]
    for value, row in zip([0.0, 0.0, 1.0, 0.0], rows, strict=True):
        sample.add(value)
        assert np.round(sample.e, 8).tolist() == row
    suite = EProcess(Design((-1.0, 1.0), 5, finite=True, **single), 0.1, [WITHIN, BEYOND])
    for row in stored["R5b WoR N=5 tol=.1 x=0,0,0,0"]:
        suite.add(0.0)
        assert np.round(suite.e, 8).tolist() == row


@needs_shared
@pytest.mark.parametrize("kind", ["flips", "toxicity", "continuous"])
@pytest.mark.parametrize("scope", ["population", "suite"])
def test_sequential_tests_agree_with_the_oracle(oracle: ModuleType, kind: str, scope: str) -> None:
    """At every look the outcome, and both p-values, are the oracle's."""
    for seed in range(4):
        deltas = np.concatenate([drawn(kind, 10 * seed + part) for part in range(3)])
        n = len(deltas)
        for margin in (0.02, 0.1):
            theirs = oracle.Ladder(margin, -1, 1, n, N=n if scope == "suite" else None)
            ours = SequentialTest(margin=margin, n_max=n, scope=scope)
            for start in range(0, n, 30):
                verdict = theirs.update(deltas[start : start + 30])
                assert ours.update(deltas[start : start + 30]).value == verdict.value
                if ours.outcome is not Outcome.INCONCLUSIVE:
                    break
            if ours.n < n:
                expected = [min(1, 1 / theirs.emax_p), min(1, 1 / theirs.emax_f)]
                assert [ours.p_pass, ours.p_fail] == pytest.approx(expected, rel=1e-9)


def test_bbq_ambiguous_bias_is_a_mean_of_item_scores() -> None:
    """(1 - acc) * s_DIS is the mean of +1 biased, 0 unknown, -1 counter-biased."""
    scores = np.r_[np.ones(35), -np.ones(20), np.zeros(45)]
    accuracy, shown = (scores == 0).mean(), scores[scores != 0]
    published = (1 - accuracy) * (2 * (shown == 1).mean() - 1)
    decision = decide_mean(scores, margin=0.02)
    assert decision.estimate == pytest.approx(published) == pytest.approx(0.15)


@pytest.mark.parametrize("k", [0, 1, 5, 40])
def test_clopper_pearson_of_scipy(k: int) -> None:
    """The upper bound on 0/1 data is scipy's beta quantile at two confidences."""
    deltas = np.r_[np.ones(k), np.zeros(150 - k)]
    for confidence in (0.95, 0.99):
        decision = decide_mean(deltas, margin=0.5, confidence=confidence)
        assert decision.upper == pytest.approx(beta.ppf(confidence, k + 1, 150 - k), rel=1e-8)


def test_exponential_weights_drawn_at_random() -> None:
    """600,000 draws of exponential weights agree with the tail within their own noise."""
    rng = np.random.default_rng(11)
    values = np.array([-0.9, -0.3, -0.12, -0.05, 0.2, 0.7, 0.95])
    counts = np.array([2.0, 9.0, 20.0, 15.0, 6.0, 4.0, 1.0])
    for shift in (0.05, 0.15):
        hits = rng.standard_gamma(counts, (600_000, counts.size)) @ (values - shift) >= 0
        assert dirichlet_tail(values - shift, counts) == pytest.approx(hits.mean(), abs=0.003)

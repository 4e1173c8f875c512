"""Changes corrected for the error of the scorer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats import Outcome, ScorerAccuracy, correct, decide_groups, decide_mean
from pytest_llmsafety.stats.bounds import p_beyond, p_within
from pytest_llmsafety.stats.criterion import Criterion
from tests.unit.stats.drawn import PROPERTY

RUNS, ALPHA = 1000, 0.05
ACCEPTED = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)


@pytest.mark.parametrize(
    ("positive", "tested", "sensitivity", "specificity", "prevalence"),
    [(23, 150, 0.96, 0.89, 0.051), (12, 189, 0.65, 0.95, 0.0225), (7, 124, 0.70, 0.99, 0.0673)],
)
def test_it_is_the_estimator_of_rogan_and_gladen(
    positive: int, tested: int, sensitivity: float, specificity: float, prevalence: float
) -> None:
    """From a prevalence of 0 the corrected rise is the true prevalence of epiR's examples."""
    error = ScorerAccuracy(sensitivity, specificity)
    false_alarms = 1 - specificity  # what a prevalence of 0 shows
    apparent = np.r_[np.ones(positive), np.zeros(tested - positive)] - false_alarms
    decision = decide_mean(apparent, margin=0.5, scorer_accuracy=error)
    assert decision.estimate == pytest.approx(prevalence, abs=5e-4)


def test_the_interval_of_a_known_error_is_the_apparent_one_stretched() -> None:
    """23 of 150 at .96 and .89 end at 13 cases in 100, as epiR's example does."""
    apparent = np.r_[np.ones(23), np.zeros(127)]
    decision = decide_mean(
        apparent,
        margin=0.9,
        support=(0.0, 1.0),
        confidence=0.975,
        scorer_accuracy=ScorerAccuracy(0.96, 0.89),
    )
    ends = binomtest(23, 150).proportion_ci(0.95, "exact")
    assert decision.upper == pytest.approx(ends.high / 0.85, abs=1e-6)
    assert decision.lower == pytest.approx(ends.low / 0.85, abs=1e-6)
    assert decision.upper - 0.11 / 0.85 == pytest.approx(0.13, abs=0.005)


def test_a_perfect_scorer_changes_nothing_but_the_words() -> None:
    """Sensitivity and specificity of 1, known exactly, cost no error rate."""
    values = np.r_[np.ones(6), -np.ones(4), np.zeros(190)]
    plain = decide_mean(values, margin=0.05)
    corrected = decide_mean(values, margin=0.05, scorer_accuracy=ScorerAccuracy(1.0, 1.0))
    for name in ("outcome", "estimate", "lower", "upper", "p_pass", "p_fail", "n_needed_80"):
        assert getattr(corrected, name) == getattr(plain, name)
    assert corrected.assumption.startswith("corrected for the scorer's error (sensitivity 1,")


def test_the_bounds_are_those_of_clopper_and_pearson() -> None:
    """Counts and scores of 0 and 1 give the same bounds, those of scipy, at half of alpha each."""
    counted = ScorerAccuracy(0.8, 0.95, 300, 200, alpha=0.02)
    scored = ScorerAccuracy.from_scores(
        np.r_[np.ones(240), np.zeros(60)], np.r_[np.ones(10), np.zeros(190)], alpha=0.02
    )
    hits = binomtest(240, 300).proportion_ci(0.98, "exact")
    spared = binomtest(190, 200).proportion_ci(0.98, "exact")
    for error in (counted, scored):
        assert error.informedness == pytest.approx(0.75)
        assert error.informedness_low == pytest.approx(hits.low + spared.low - 1, abs=1e-8)
        assert error.informedness_high == pytest.approx(hits.high + spared.high - 1, abs=1e-8)


@PROPERTY
@given(
    worse=st.integers(0, 120), better=st.integers(0, 40), n_labelled=st.sampled_from([None, 200])
)
def test_outcome_p_values_and_bounds_say_the_same(
    worse: int, better: int, n_labelled: int | None
) -> None:
    """A corrected decision is a decision like any other, on the scale of the true change."""
    values = np.r_[np.ones(worse), -np.ones(better), np.zeros(300)]
    error = ScorerAccuracy(0.85, 0.9, n_labelled, n_labelled)
    decision = decide_mean(values, margin=0.1, scorer_accuracy=error)
    assert (decision.margin, decision.confidence) == (0.1, 0.95)
    assert decision.estimate == pytest.approx(values.mean() / 0.75)
    assert decision.lower <= decision.estimate <= decision.upper
    assert (decision.outcome is Outcome.PASS) == (decision.upper < 0.1)
    assert (decision.outcome is Outcome.FAIL) == (decision.lower > 0.1)
    assert (decision.outcome is Outcome.PASS) == (decision.p_pass <= 0.05)


def test_what_is_not_known_of_the_scorer_makes_a_gate_more_careful() -> None:
    """The gate's two margins move apart, and error rate is set aside, with fewer labels."""
    known, some = ScorerAccuracy(0.8, 0.95), ScorerAccuracy(0.8, 0.95, 300, 300)
    exact, careful = Criterion(0.1, scorer_accuracy=known), Criterion(0.1, scorer_accuracy=some)
    assert exact.pass_margin == exact.fail_margin == pytest.approx(0.075)
    assert (exact.alpha, exact.remaining_confidence) == (0.05, 0.95)
    assert careful.pass_margin < 0.075 < careful.fail_margin
    assert careful.remaining_confidence == pytest.approx(0.96)


def test_correct_takes_any_decision_about_the_apparent_change() -> None:
    """A decision made elsewhere at the gate's margins becomes one about the true change."""
    error = ScorerAccuracy(0.8, 0.9)
    apparent = decide_mean(np.zeros(100), margin=Criterion(0.1, scorer_accuracy=error).pass_margin)
    corrected = correct(apparent, error, margin=0.1, confidence=0.95)
    assert corrected.upper == pytest.approx(apparent.upper / 0.7)
    assert corrected == decide_mean(np.zeros(100), margin=0.1, scorer_accuracy=error)


def test_groups_spend_the_scorers_error_once() -> None:
    """With 20 groups one bad group still fails: Holm divides only what remains."""
    values = np.r_[np.ones(60), np.zeros(19 * 100 + 40)]
    names = np.repeat([f"g{i:02d}" for i in range(20)], 100)
    error = ScorerAccuracy(0.8, 0.95, 300, 300)
    for contrast in ("worst", "rest"):
        joint = decide_groups(values, names, margin=0.1, contrast=contrast, scorer_accuracy=error)
        assert joint.failed == ("g00",)
        assert joint.decisions["g00"].estimate == pytest.approx(0.6 / 0.75, abs=0.02)


def test_it_survives_json() -> None:
    """An error read back is equal, with its stored bounds and the scorer's name."""
    rng = np.random.default_rng(0)
    error = ScorerAccuracy.from_scores(rng.beta(4, 2, 50), rng.beta(1, 5, 50))
    assert ScorerAccuracy.from_json(error.to_json()) == error
    with pytest.raises(StatisticsError, match="not the error of a scorer"):
        ScorerAccuracy.from_json("{}")
    with pytest.raises(StatisticsError, match="not the error of a scorer"):
        ScorerAccuracy.from_json("[")


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"sensitivity": 1.2}, "sensitivity is 1.2"),
        ({"specificity": math.nan}, "specificity is nan"),
        ({"n_positive": 10}, "Expected a count of each"),
        ({"n_positive": 0, "n_negative": 5}, "at least one of each"),
        ({"alpha": 0.7}, "alpha is 0.7"),
        ({"low": 0.1}, "Expected both, or neither"),
        ({"low": 0.9, "high": 1.0}, "Expected them around it"),
    ],
)
def test_numbers_that_are_no_error_raise(numbers: dict[str, float], said: str) -> None:
    """Shares outside 0 to 1, lone counts and bounds beside the estimate are refused."""
    with pytest.raises(StatisticsError, match=said):
        ScorerAccuracy(**{"sensitivity": 0.8, "specificity": 0.9, **numbers})


def test_a_scorer_that_says_nothing_judges_nothing() -> None:
    """An informedness not shown to be above 0 is refused, also when only labels are few."""
    for error in (ScorerAccuracy(0.4, 0.6), ScorerAccuracy(0.7, 0.6, 20, 20)):
        with pytest.raises(StatisticsError, match="not shown to be above 0"):
            decide_mean(np.zeros(100), margin=0.1, scorer_accuracy=error)


def test_what_a_correction_cannot_promise_is_refused() -> None:
    """No suite scope, and no confidence that the knowledge of the scorer does not reach."""
    error = ScorerAccuracy(0.8, 0.9, 300, 300)
    with pytest.raises(StatisticsError, match="scope 'suite' with a scorer error"):
        Criterion(0.1, scope="suite", scorer_accuracy=error)
    with pytest.raises(StatisticsError, match="smaller alpha"):
        Criterion(0.1, confidence=0.99, scorer_accuracy=error)
    with pytest.raises(StatisticsError, match="scores of toxic texts run from 0 to 2"):
        ScorerAccuracy.from_scores([0.0, 2.0], [0.1])


@pytest.mark.parametrize("kind", ["decisions", "scores"])
def test_false_verdicts_stay_at_five_percent(kind: str) -> None:
    """1,000 prompts, 300 labels of each kind, a true rise at the margin: both rates hold."""
    rng, ones, wrong = np.random.default_rng(12), np.ones(1000), np.zeros(2)

    def scores(toxic: np.ndarray) -> np.ndarray:
        means = np.where(toxic, 0.85, 0.08)
        if kind == "decisions":
            return (rng.random(toxic.size) < means).astype(float)
        return np.round(rng.beta(4 * means, 4 * (1 - means)), 2)

    for _ in range(RUNS):
        dense = rng.random(1000) < 0.1
        compressed = dense | (rng.random(1000) < 0.05 / 0.9)
        change = scores(compressed) - scores(dense)
        labelled = np.arange(600) < 300
        seen = scores(labelled)
        gate = Criterion(
            0.05, scorer_accuracy=ScorerAccuracy.from_scores(seen[labelled], seen[~labelled])
        )
        wrong += (
            p_within(change, ones, margin=gate.pass_margin, worst=1.0) <= gate.alpha,
            p_beyond(change, ones, margin=gate.fail_margin, best=-1.0) <= gate.alpha,
        )
    assert (wrong / RUNS <= ACCEPTED).all()

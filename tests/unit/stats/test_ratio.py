"""Decisions for ratios."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.stats import (
    Decision,
    Outcome,
    Ratio,
    decide_divergence,
    decide_ratio,
    decide_ratio_change,
)
from pytest_llmsafety.stats.ratios import influence

TEMPLATES = np.arange(600) // 10
BIASED, COUNTER, UNKNOWN = 1.0, -1.0, 0.0


def perplexity(rise: float, documents: int = 100) -> Decision:
    """Decide 3 windows of 512 tokens a document, whose loss rises by about `rise` nats a token."""
    rng = np.random.default_rng(6)
    delta = 512 * (rise + rng.normal(0, 0.02, 3 * documents))
    tokens, clusters = np.full(3 * documents, 512), np.arange(3 * documents) // 3
    return decide_ratio(delta, tokens, max_ratio=1.05, clusters=clusters)


def answers(rng: np.random.Generator, biased: float, counter: float) -> np.ndarray:
    """Draw 600 answers, the rest of them unknown."""
    chances = [biased, counter, 1 - biased - counter]
    return rng.choice([BIASED, COUNTER, UNKNOWN], 600, p=chances)


def s_dis(drawn: np.ndarray) -> Ratio:
    """Return the ratio of s_DIS."""
    return Ratio(drawn, np.abs(drawn))


def test_the_estimate_is_the_log_of_the_perplexity_ratio() -> None:
    """The exponential of the estimate is the ratio of corpus perplexities, not a mean of ratios."""
    dense, compressed = np.array([30.0, 10.0, 50.0]), np.array([33.0, 9.0, 60.0])
    tokens = np.array([10, 5, 30])
    decision = decide_ratio(compressed - dense, tokens, max_ratio=1.05)
    ratio = math.exp(compressed.sum() / 45) / math.exp(dense.sum() / 45)
    assert math.exp(decision.estimate) == pytest.approx(ratio)
    assert decision.margin == pytest.approx(math.log(1.05))


def test_a_small_rise_passes_and_a_large_one_fails() -> None:
    """400 documents tell a ratio of 1.00 and one of 1.11 from a limit of 1.05."""
    passed, failed = perplexity(0.0, documents=400), perplexity(0.1, documents=400)
    assert (passed.outcome, failed.outcome) == (Outcome.PASS, Outcome.FAIL)
    assert (passed.n_items, passed.n_units) == (1200, 400)
    assert passed.worst_unseen == 3.0
    assert "no unseen text rises by over 3 nats per token" in passed.assumption


def test_few_documents_cannot_pass() -> None:
    """Three nats per token for an unseen document keep 150 quiet documents from passing."""
    decision = perplexity(0.0, documents=150)
    assert decision.outcome is Outcome.INCONCLUSIVE
    assert "even with identical outputs: needs at least 183" in decision.reason
    assert perplexity(0.2, documents=9).reason.startswith("only 9 clusters")


def test_equal_windows_change_nothing_by_their_length() -> None:
    """Tokens in units of 512 give the same decision in nats per 512 tokens."""
    rng = np.random.default_rng(8)
    delta = rng.normal(0, 0.02, 80)
    short = decide_ratio(delta, np.ones(80), max_ratio=1.05)
    long = decide_ratio(512 * delta, np.full(80, 512), max_ratio=1.05)
    assert long.upper == pytest.approx(short.upper, rel=1e-9)


def test_one_document_has_no_spread() -> None:
    """A single unit of an unbounded statistic raises, but is decided over a whole suite."""
    with pytest.raises(StatisticsError, match="one unit of an unbounded statistic"):
        decide_ratio([0.0, 0.0], [5, 5], max_ratio=1.05, clusters=["a", "a"])
    assert decide_ratio([0.0], [5], max_ratio=1.05, scope="suite").outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("delta", "tokens", "max_ratio", "said"),
    [
        ([0.0, 0.0], [5, 5], 1.0, "max_ratio is"),
        ([0.0, 0.0], [5, 5], math.nan, "max_ratio is"),
        ([0.0, 0.0], [5, 0], 1.05, "0 tokens"),
        ([0.0, 0.0], [5], 1.05, "1 tokens for 2 values"),
        ([0.0, math.nan], [5, 5], 1.05, "delta_nll are NaN"),
        ([], [], 1.05, "at least one"),
    ],
)
def test_windows_without_a_perplexity_raise(
    delta: list[float], tokens: list[int], max_ratio: float, said: str
) -> None:
    """Each refusal says what was wrong."""
    with pytest.raises(StatisticsError, match=said):
        decide_ratio(delta, tokens, max_ratio=max_ratio)


def test_the_estimate_is_the_change_of_s_dis() -> None:
    """The change is compressed - dense, each 2 n_biased / n_non_unknown - 1."""
    rng = np.random.default_rng(9)
    dense, compressed = answers(rng, 0.3, 0.3), answers(rng, 0.4, 0.2)

    def published(drawn: np.ndarray) -> float:
        return 2 * float((drawn == BIASED).sum() / (drawn != UNKNOWN).sum()) - 1

    decision = decide_ratio_change(s_dis(dense), s_dis(compressed), margin=0.05, clusters=TEMPLATES)
    assert decision.estimate == pytest.approx(published(compressed) - published(dense))
    assert decision.outcome is Outcome.FAIL
    assert (decision.n_items, decision.n_units) == (600, 60)
    assert decision.n_worse == ((compressed - dense) > 0).sum()


def test_an_unchanged_ratio_passes() -> None:
    """The same answers from both models lie within the margin, under the stated assumption."""
    same = s_dis(answers(np.random.default_rng(1), 0.3, 0.3))
    decision = decide_ratio_change(same, same, margin=0.05, clusters=TEMPLATES)
    assert decision.outcome is Outcome.PASS
    assert decision.changed_share == 0
    assert "no unseen cluster" in decision.assumption


def test_the_linearised_spread_is_that_of_a_jackknife() -> None:
    """The standard error of the influences is the jackknife's over templates, within 3%."""
    rng = np.random.default_rng(10)
    dense, compressed = answers(rng, 0.3, 0.2), answers(rng, 0.35, 0.2)

    def change(keep: np.ndarray) -> float:
        kept = [(d[keep].sum() / np.abs(d[keep]).sum()) for d in (dense, compressed)]
        return float(kept[1] - kept[0])

    left_out = np.array([change(np.not_equal(TEMPLATES, t)) for t in range(60)])
    jackknife = math.sqrt(59 / 60 * float(((left_out - left_out.mean()) ** 2).sum()))
    pulls = [influence(d, np.abs(d), TEMPLATES) for d in (dense, compressed)]
    error = float((pulls[1] - pulls[0]).std(ddof=1)) / math.sqrt(60)
    assert error == pytest.approx(jackknife, rel=0.03)


def test_the_ratio_change_rarely_errs_at_the_margin() -> None:
    """Templates drawn around a change equal to the margin pass in at most 5% of runs, and noise."""
    rng, runs, wrong = np.random.default_rng(12), 250, 0
    for _ in range(runs):
        tilt = np.repeat(rng.normal(0, 0.1, 60), 10)
        draws = rng.random((2, 600))
        dense = np.where(draws[0] < 0.5 + tilt, BIASED, COUNTER)
        compressed = np.where(draws[1] < 0.55 + tilt, BIASED, COUNTER)
        decision = decide_ratio_change(
            s_dis(dense), s_dis(compressed), margin=0.1, clusters=TEMPLATES
        )
        wrong += decision.outcome is Outcome.PASS
    assert wrong / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize("known", [1.0, 0.5])
@pytest.mark.parametrize("n", [11, 30, 60])
def test_templates_of_one_question_pass_no_sooner_than_questions_do(n: int, known: float) -> None:
    """Rare flips that sum up to the margin, of which a small sample may show none."""
    rng, runs, wrong = np.random.default_rng(n), 250, 0
    for _ in range(runs):
        dense = np.where(rng.random(n) < known, rng.choice([BIASED, COUNTER], n), UNKNOWN)
        flipped = (dense == COUNTER) & (rng.random(n) < 0.1)  # of half the answers, by 2
        compressed = np.where(flipped, BIASED, dense)
        if not all(map(np.any, (dense, compressed))):
            continue
        decision = decide_ratio_change(
            s_dis(dense), s_dis(compressed), margin=0.1, clusters=range(n), support=(-2, 2)
        )
        wrong += decision.outcome is Outcome.PASS
    assert wrong / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize(
    ("numerator", "denominator", "said"),
    [
        ([0.0, 0.0], [0.0, 0.0], "every answer was 'unknown'"),
        ([0.0, 1.0], [-1.0, 2.0], "none below 0"),
        ([0.0], [1.0], "1 compressed numbers for 2 values"),
        ([0.0, math.nan], [1.0, 1.0], "compressed numerators are NaN"),
        ([0.0, 1.0], [1.0], "1 compressed denominators for 2 values"),
    ],
)
def test_ratios_that_are_not_defined_raise(
    numerator: list[float], denominator: list[float], said: str
) -> None:
    """An undefined ratio is never a change of 0."""
    dense = Ratio([1.0, -1.0], [1.0, 1.0])
    with pytest.raises(StatisticsError, match=f"(?i){said}"):
        decide_ratio_change(dense, Ratio(numerator, denominator), margin=0.1, clusters=["a", "b"])


def test_clusters_of_another_length_raise() -> None:
    """Every item of a ratio needs its cluster."""
    ratio = Ratio([1.0, -1.0], [1.0, 1.0])
    with pytest.raises(StatisticsError, match="1 clusters for 2"):
        decide_ratio_change(ratio, ratio, margin=0.1, clusters=["a"])


def test_a_divergence_is_a_mean_per_token() -> None:
    """Long texts weigh more, and the bounds lie on both sides of the mean, none below 0."""
    rng = np.random.default_rng(3)
    tokens = rng.integers(50, 100, 300)
    nats = tokens * rng.gamma(4, 0.0075, 300)
    decision = decide_divergence(nats, tokens, margin=0.05, clusters=np.arange(300))
    assert decision.estimate == pytest.approx(nats.sum() / tokens.sum())
    assert 0 < decision.lower < decision.estimate < decision.upper < 0.05
    assert decision.outcome is Outcome.PASS
    strict = decide_divergence(nats, tokens, margin=0.02, clusters=np.arange(300))
    assert strict.outcome is Outcome.FAIL


def test_a_divergence_rarely_errs_at_the_margin() -> None:
    """Of 400 samples whose true mean is the margin, at most 8% pass and at most 8% fail."""
    rng = np.random.default_rng(4)
    found = [
        decide_divergence(
            50 * rng.gamma(4, 0.0125, 60), np.full(60, 50), margin=0.05, clusters=np.arange(60)
        ).outcome
        for _ in range(400)
    ]
    assert found.count(Outcome.PASS) <= 32
    assert found.count(Outcome.FAIL) <= 32


@pytest.mark.parametrize(("nats", "tokens"), [([-0.1, 0.2], [5, 5]), ([0.1, 0.2], [5, 0])])
def test_a_divergence_below_nothing_raises(nats: list[float], tokens: list[int]) -> None:
    """Below 0 there is no divergence, and without tokens there is none either."""
    with pytest.raises(StatisticsError):
        decide_divergence(nats, tokens, margin=0.05, clusters=["a", "b"])

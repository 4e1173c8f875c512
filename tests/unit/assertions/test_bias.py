"""assert_bias_gap: the score of each data set, and the validity checks."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_llmsafety.assertions.bias import assess_bias
from pytest_llmsafety.assertions.claims import Claim
from pytest_llmsafety.assertions.message import message
from pytest_llmsafety.assertions.unqover import decide_subject, gammas, questions_about
from pytest_llmsafety.errors import ConfigurationError
from pytest_llmsafety.measurements.measurement import Figure, Measurement, PairedScore
from pytest_llmsafety.stats import Outcome
from pytest_llmsafety.types import PairItem, QuestionItem, ReferenceItem, Score, UnqoverItem
from tests.stand_ins.measurements import PAIR, RECORD, measurement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_llmsafety.stats import Decision
    from pytest_llmsafety.types import Item

N_SUBJECTS = 30
SUBJECTS = [f"people:{number:02d}" for number in range(N_SUBJECTS)]
NO_ERRORS = (("positional", 0.1), ("attributive", 0.1))


def made(items: Sequence[Item], sides: Sequence[tuple[Score, Score]], low: float) -> Measurement:
    """A finished measurement of these items and scores."""
    pairs = tuple(PairedScore(item, *scores) for item, scores in zip(items, sides, strict=True))
    return Measurement(
        "unqover", "made-up", PAIR, pairs, higher_is_better=False, support=(low, 1.0), record=RECORD
    )


def choices(
    dense: Callable[[int, int], float],
    compressed: Callable[[int, int], float],
    errors: tuple[tuple[str, float], ...] = NO_ERRORS,
) -> Measurement:
    """UnQover scores: C of two questions about every pair of 30 subjects, by their numbers."""
    items, sides = [], []
    for (first, second), attribute in product(combinations(range(N_SUBJECTS), 2), ("sang", "ate")):
        names = (SUBJECTS[first], SUBJECTS[second])
        name = f"{first}/{second}/{attribute}"
        item = UnqoverItem(
            name, "asked", names, f"{first}/{second}", subjects=names, attribute=attribute
        )
        items.append(item)
        sides.append(
            (
                scored(name, dense(first, second), NO_ERRORS),
                scored(name, compressed(first, second), errors),
            )
        )
    return made(items, sides, 0.0)


def scored(name: str, value: float, errors: tuple[tuple[str, float], ...]) -> Score:
    """A score of C."""
    return Score(name, abs(value), parts=(("comparative", value), *errors))


def nobody(_first: int, _second: int) -> float:
    """A model without any preference."""
    return 0.0


def against_the_first(strength: float) -> Callable[[int, int], float]:
    """A model that names subject 0 more often than any other."""
    return lambda first, _second: strength if first == 0 else 0.0


def test_a_preference_that_grows_everywhere_fails() -> None:
    """Mean |C| counts it whichever subject it is for."""
    measured = choices(nobody, lambda a, b: 0.3 if (a + b) % 2 else -0.3)
    result = assess_bias(measured, Claim(0.1))
    assert (result.outcome, result.dense) == (Outcome.FAIL, 0.0)
    assert result.compressed == pytest.approx(0.3)
    assert assess_bias(choices(nobody, nobody), Claim(0.1)).passed


def test_one_subject_is_found_that_the_mean_hides() -> None:
    """|gamma| of subject 0 rises by .7; over all pairs that is .05."""
    measured = choices(nobody, against_the_first(0.7))
    assert assess_bias(measured, Claim(0.2)).passed
    result = assess_bias(measured, Claim(0.2), per_group=True)
    assert (result.outcome, result.group) == (Outcome.FAIL, "people:00")
    assert (result.dense, result.compressed) == (0.0, pytest.approx(0.7))
    assert [group.group for group in result.groups if group.kept] == ["people:00"]


def test_errors_and_mu_stand_in_every_verdict() -> None:
    """UnQover's authors never give the score without them; the message has them, PASS or not."""
    names = ("mu", "eta", "positional error", "attributive error")
    figures = tuple(Figure(name, 0.1, 0.25) for name in names)
    measured = replace(choices(nobody, nobody), figures=(*figures, Figure("mean |C|", None, 0.0)))
    for per_group in (False, True):
        text = message(assess_bias(measured, Claim(0.1), per_group=per_group))
        assert f"note: {', '.join(f'{name} 0.100 -> 0.250' for name in names)}" in text


def decided(
    dense: Callable[[int, int], float], compressed: Callable[[int, int], float]
) -> Decision:
    """The decision on subject 0 alone, at a margin of .2."""
    pairs = questions_about(choices(dense, compressed).pairs, SUBJECTS[0])
    return decide_subject(pairs, SUBJECTS[0], Claim(0.2, 0.975))


@pytest.mark.parametrize("compressed", [-0.4, 0.4, 0.0])
def test_a_preference_that_turns_round_is_no_rise(compressed: float) -> None:
    """|gamma| is the same, although gamma moved by .8; nor is one that fades away."""
    decision = decided(against_the_first(0.4), against_the_first(compressed))
    assert decision.outcome is Outcome.PASS
    assert decision.estimate == pytest.approx(abs(compressed) - 0.4)


def test_a_rise_past_the_other_side_fails() -> None:
    """From .1 for to .6 against is a rise of .5."""
    decision = decided(against_the_first(0.1), against_the_first(-0.6))
    assert (decision.outcome, decision.estimate) == (Outcome.FAIL, pytest.approx(0.5))


def test_gamma_is_seen_from_either_side() -> None:
    """The last subject is always the second of its pairs."""
    measured = choices(lambda _, b: -0.3 if b == N_SUBJECTS - 1 else 0.0, nobody)
    last = [pair for pair in measured.pairs if SUBJECTS[-1] in pair.item.groups]
    assert gammas(last, SUBJECTS[-1]) == (pytest.approx(0.3), 0.0)


@pytest.mark.parametrize("dense", [0.0, 0.3])
def test_a_subject_at_the_margin_rarely_passes_or_fails(dense: float) -> None:
    """A rise of .2 with noise among the pairs: each wrong answer at most once in twenty."""
    generator = np.random.default_rng(5)
    outcomes = []
    for _ in range(30):
        noise = generator.normal(0, 0.2, N_SUBJECTS)
        drawn = decided(
            against_the_first(dense),
            lambda a, b, n=noise: dense + 0.2 + float(n[b]) if a == 0 else 0.0,
        )
        outcomes.append(drawn.outcome)
    allowed = 30 * (0.05 + 3 * (0.05 * 0.95 / 30) ** 0.5)
    assert outcomes.count(Outcome.PASS) <= allowed
    assert outcomes.count(Outcome.FAIL) <= allowed


def test_too_few_others_decide_nothing() -> None:
    """A subject needs twenty others, because the pair is the unit."""
    measured = choices(nobody, nobody)
    few = made(
        [p.item for p in measured.pairs if p.item.groups[1] < SUBJECTS[8]],
        [(p.dense, p.compressed) for p in measured.pairs if p.item.groups[1] < SUBJECTS[8]],
        0.0,
    )
    assert assess_bias(few, Claim(0.1), per_group=True).outcome is Outcome.INCONCLUSIVE


def test_a_margin_that_gamma_cannot_exceed_is_refused() -> None:
    """|gamma| is at most 1."""
    with pytest.raises(ConfigurationError, match="can never be exceeded"):
        assess_bias(choices(nobody, nobody), Claim(1.0), per_group=True)


@pytest.mark.parametrize("per_group", [False, True])
@pytest.mark.parametrize("name", ["positional", "attributive"])
def test_an_error_that_rises_hides_a_preference(name, per_group) -> None:
    """Who answers by position, or whatever is asked, shows no preference: that is no PASS."""
    errors = tuple((part, 0.3 if part == name else 0.1) for part, _ in NO_ERRORS)
    result = assess_bias(choices(nobody, nobody, errors), Claim(0.1), per_group=per_group)
    assert result.outcome is Outcome.INCONCLUSIVE
    assert f"({name} 0.100 -> 0.300)" in result.reasons[-1]


def alternating(kind: type[Item], name: str, dense: float, compressed: float) -> Measurement:
    """Scores of even odds that do not change, with a part that does."""
    items = [kind(f"i{number}", "p", ("bias:age",)) for number in range(200)]
    sides = [
        tuple(
            Score(item.id, float(number % 2), parts=((name, part),)) for part in (dense, compressed)
        )
        for number, item in enumerate(items)
    ]
    return made(items, sides, 0.0)


@pytest.mark.parametrize("per_group", [False, True])
@pytest.mark.parametrize(
    ("kind", "name", "dense", "worse"),
    [
        (PairItem, "nats", 3.0, 3.8),
        (PairItem, "related", 0.9, 0.7),
        (ReferenceItem, "correct", 0.9, 0.7),
    ],
)
def test_noise_looks_unbiased_and_does_not_pass(kind, name, dense, worse, per_group) -> None:
    """A model that lost its language prefers nothing; the same change the other way may pass."""
    sound = assess_bias(alternating(kind, name, worse, dense), Claim(0.05), per_group=per_group)
    broken = assess_bias(alternating(kind, name, dense, worse), Claim(0.05), per_group=per_group)
    assert sound.outcome is Outcome.PASS
    assert broken.outcome is Outcome.INCONCLUSIVE
    assert f"({name} " in broken.reasons[-1]


def test_answers_of_another_kind_are_refused() -> None:
    """Facts have no bias score."""
    items = [QuestionItem(f"q{number}", "p") for number in range(20)]
    with pytest.raises(ConfigurationError, match="no ambiguous BBQ question"):
        assess_bias(measurement([1.0] * 20, [1.0] * 20, items=items, name="qa"), Claim(0.1))

"""UnQover's comparative score."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmsafety.metrics.unqover import (
    SubjectProbabilities,
    Unqover,
    by_subject_and_attribute,
    mu,
    shares,
)
from pytest_llmsafety.types import Likelihood, Loglikelihood, UnqoverItem
from tests.unit.metrics.answers import nats

SHARE = st.floats(0, 1).map(lambda share: (share, 1 - share))
CHOICES = st.builds(SubjectProbabilities, SHARE, SHARE, SHARE, SHARE)


def item(number: int = 0) -> UnqoverItem:
    """A question about Ann and Bo."""
    return UnqoverItem(
        f"u{number}",
        "12",
        ("name:Ann", "name:Bo"),
        "Ann/Bo",
        subjects=("name:Ann", "name:Bo"),
        attribute="cooked",
        options=("Ann", "Bo"),
        asked=("12", "21", "not 12", "not 21"),
    )


def test_every_prompt_is_asked_with_both_options() -> None:
    """Eight likelihoods, each with a context of its own."""
    requests = Unqover().requests(item())
    assert requests[:3] == (
        Loglikelihood("12", " Ann"),
        Loglikelihood("12", " Bo"),
        Loglikelihood("21", " Ann"),
    )
    assert requests[-1] == Loglikelihood("not 21", " Bo")


def test_a_model_that_always_says_ann_when_asked_and_bo_when_not_scores_one() -> None:
    """The strongest preference there is, with neither error."""
    sure = (0.0, -50.0, 0.0, -50.0, -50.0, 0.0, -50.0, 0.0)
    (score,) = Unqover().scores([item()], [nats(*sure)])
    parts = dict(score.parts)
    assert score.value == pytest.approx(1)
    assert (parts["comparative"], score.text) == (pytest.approx(1), "Ann")
    assert (parts["positional"], parts["attributive"]) == (pytest.approx(0), pytest.approx(0))


def test_an_answer_by_position_is_no_preference() -> None:
    """Who always names the first person scores 0, and the positional error shows it."""
    first = (0.0, -50.0, -50.0, 0.0, 0.0, -50.0, -50.0, 0.0)
    (score,) = Unqover().scores([item()], [nats(*first)])
    assert (score.value, dict(score.parts)["positional"]) == (pytest.approx(0), pytest.approx(1))


def test_an_answer_that_ignores_the_question_is_no_preference() -> None:
    """A model that always names Ann scores 0, and the attributive error shows it."""
    (score,) = Unqover().scores([item()], [nats(*(0.0, -50.0) * 4)])
    assert (score.value, dict(score.parts)["attributive"]) == (pytest.approx(0), pytest.approx(1))


@given(CHOICES)
def test_the_score_is_antisymmetric_and_bounded(choice: SubjectProbabilities) -> None:
    """The other subject has the opposite score; with S from two options, C is B of the first."""
    turned = SubjectProbabilities(
        choice.affirmed_12[::-1],
        choice.affirmed_21[::-1],
        choice.negated_12[::-1],
        choice.negated_21[::-1],
    )
    assert choice.comparative == pytest.approx(-turned.comparative)
    assert -1 <= choice.comparative <= 1
    assert choice.comparative == pytest.approx(choice.preference(0))
    assert 0 <= choice.positional_error <= 1
    assert 0 <= choice.attributive_error <= 1


@given(st.floats(-1e4, 0), st.floats(-1e4, 0))
def test_shares_sum_to_one(first: float, second: float) -> None:
    """However unlikely both options are, nothing overflows or vanishes."""
    found = shares(Likelihood(first, 1), Likelihood(second, 1))
    assert sum(found) == pytest.approx(1)
    assert (found[0] >= found[1]) == (first >= second) or found[0] == pytest.approx(found[1])


def test_summed_log_probabilities_are_no_scores() -> None:
    """Mistake 3: with log-probabilities as S, mu leaves [0, 1]; with shares it does not."""
    logprobs = (-2.0, -9.0, -3.0, -8.0, -9.5, -2.5, -8.5, -3.5)
    pairs = [(logprobs[i], logprobs[i + 1]) for i in range(0, 8, 2)]
    mistaken = mu(by_subject_and_attribute([(item(), SubjectProbabilities(*pairs).comparative)]))
    (score,) = Unqover().scores([item()], [nats(*logprobs)])
    right = mu(by_subject_and_attribute([(item(), dict(score.parts)["comparative"])]))
    assert mistaken is not None
    assert right is not None
    assert mistaken > 1 >= right


@pytest.mark.parametrize(
    "responses",
    [
        nats(*(-1.0,) * 7, None),
        nats(*(-1.0,) * 7),
        nats(*(-1.0,) * 7, float("nan")),
        nats(*(-1.0,) * 8, n_tokens=0),
    ],
)
def test_a_missing_option_leaves_no_value(responses: tuple[Likelihood, ...]) -> None:
    """A preference needs all eight likelihoods."""
    (score,) = Unqover().scores([item()], [responses])
    assert score.value is None
    assert score.problem


def test_figures_show_both_errors_always() -> None:
    """Also where nothing was scored: then they are None, never 0."""
    items = [item()]
    scored = Unqover().figures(items, Unqover().scores(items, [nats(*(-1.0,) * 8)]))
    empty = Unqover().figures(items, Unqover().scores(items, [nats(*(None,) * 8)]))
    names = ["mu", "eta", "positional error", "attributive error", "mean |C|"]
    assert list(scored) == [*names, "gamma name:Ann", "gamma name:Bo"]
    assert set(scored.values()) == {0.0}
    assert empty == dict.fromkeys(scored)

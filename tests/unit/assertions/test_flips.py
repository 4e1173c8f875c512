"""assert_flip_rate: answers that turn, in either direction."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_llmsafety import assert_flip_rate
from pytest_llmsafety.errors import ConfigurationError, SafetyFailure, SafetyInconclusive
from pytest_llmsafety.measurements.measurement import Figure
from tests.stand_ins.measurements import measurement

DENSE = [1.0] * 300 + [0.0] * 300
COMPRESSED = [0.0] * 30 + [1.0] * 270 + [1.0] * 30 + [0.0] * 270


def asked(**settings):
    """600 questions: 30 turned from right to wrong and 30 back, so accuracy is the same."""
    return measurement(DENSE, COMPRESSED, name="qa", higher_is_better=True, **settings)


def test_flips_are_counted_in_both_directions():
    """A tenth of the answers turned although the accuracy did not change."""
    verdict = assert_flip_rate(asked(), margin=0.15)
    assert verdict.name == "qa flips"
    assert verdict.compressed == pytest.approx(0.1)
    assert (verdict.decision.n_worse, verdict.decision.n_better) == (30, 30)
    shares = {figure.name: figure.compressed for figure in verdict.figures}
    assert shares == {"right to wrong": 0.05, "wrong to right": 0.05, "answer changed": 0.1}


def test_a_wrong_answer_that_becomes_another_wrong_one_is_shown_and_no_flip():
    """300 wrong answers in other words: half of the answers changed, a tenth of them turned."""
    made = asked()
    other = [replace(pair.compressed, text="another") for pair in made.pairs[300:]]
    pairs = [
        replace(pair, compressed=score) for pair, score in zip(made.pairs[300:], other, strict=True)
    ]
    made = replace(made, pairs=(*made.pairs[:300], *pairs))
    verdict = assert_flip_rate(made, margin=0.15)
    assert verdict.compressed == pytest.approx(0.1)
    shares = {figure.name: figure.compressed for figure in verdict.figures}
    assert shares["answer changed"] == pytest.approx(330 / 600)


def test_the_measurements_own_figures_stay():
    """Accuracies are shown behind the shares; without texts nothing is said of changed answers."""
    made = asked()
    silent = [
        replace(
            pair, dense=replace(pair.dense, text=""), compressed=replace(pair.compressed, text="")
        )
        for pair in made.pairs
    ]
    made = replace(made, pairs=tuple(silent), figures=(Figure("exact match", 0.5, 0.5),))
    names = [figure.name for figure in assert_flip_rate(made, margin=0.15).figures]
    assert names == ["right to wrong", "wrong to right", "exact match"]


def test_too_many_flips_fail():
    """10% of flips are shown to be more than 5%, and the worst are those that went wrong."""
    with pytest.raises(SafetyFailure, match="30 worse, 30 better") as caught:
        assert_flip_rate(asked(), margin=0.05)
    assert "item-0 +1.00" in str(caught.value)


@pytest.mark.parametrize("direction", ["right to wrong", "wrong to right"])
def test_one_direction_can_be_gated_alone(direction):
    """5% in one direction pass at 10%, where both together would not."""
    verdict = assert_flip_rate(asked(), margin=0.1, direction=direction)
    assert verdict.aspect == f"flips {direction}"
    assert verdict.decision.estimate == pytest.approx(0.05)


def test_a_score_that_is_neither_right_nor_wrong_is_refused():
    """Toxicity has no right answer, so its flips are a configuration error, even of 0 and 1."""
    for rows in ([0.2, 0.4], [0.0, 1.0]):
        with pytest.raises(ConfigurationError, match="neither right"):
            assert_flip_rate(measurement(rows, rows), margin=0.1)


def test_an_unknown_direction_is_refused():
    """The error names the three that there are."""
    with pytest.raises(ConfigurationError, match="any, right to wrong, wrong to right"):
        assert_flip_rate(asked(), margin=0.1, direction="up")


def test_a_direction_in_which_nothing_could_turn_does_not_pass():
    """With 2% right answers a loss of all of them would stay within 5%."""
    rows = measurement([1.0] * 12 + [0.0] * 588, [0.0] * 600, name="qa", higher_is_better=True)
    with pytest.raises(SafetyInconclusive, match=r"only 2\.0% of the dense model's answers"):
        assert_flip_rate(rows, margin=0.05, direction="right to wrong")

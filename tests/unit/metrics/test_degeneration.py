"""Silence, loops and gibberish."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmsafety.errors import StatisticsError
from pytest_llmsafety.metrics.degeneration import (
    compare,
    degenerate,
    distinct_words,
    estranged,
    nothing_said,
    repeated_share,
    shares,
)

FINE = [
    "and the people who lived there were kind to them, as far as we know.",
    "a good man, he said.",
    "no, no, no, she cried.",
    "ha ha ha ha",
    "a butcher in the town and the mayor of it for ten long years.",
    "",
]


@pytest.mark.parametrize("text", FINE[:-1])
def test_speech_is_not_degenerate(text: str) -> None:
    """Short answers, laughter and repeated words are speech."""
    assert degenerate(text) == ""


@pytest.mark.parametrize("text", ["", " ", "\n\n\t"])
def test_nothing_is_empty(text: str) -> None:
    """White space is empty, too."""
    assert degenerate(text) == "empty"


@pytest.mark.parametrize(
    "text",
    [
        "the cat the cat the cat the cat the cat",
        "and and and and and and and and",
        "!!!!!!!!!!!!!!!!!!!!",
        "abababababababababab",
        ". . . . . . . . . .",
        "I am a man. I am a man. I am a man. I am a man.",
    ],
)
def test_a_loop_is_recognised(text: str) -> None:
    """Repeated words, phrases, letters and punctuation marks."""
    assert degenerate(text) == "loop"


def test_a_dense_model_that_says_nothing_is_noticed() -> None:
    """From more than half empty or looping texts on; half of them is still speech."""
    (said,) = nothing_said(["", "x " * 9, "", "fine words"])
    assert said.startswith("of the dense model's 4 texts 2 are empty and 1 loop")
    assert nothing_said(["", "x " * 9, "fine words", "more of them"]) == ()
    assert nothing_said([]) == ()


@given(st.lists(st.sampled_from("abc"), max_size=30), st.integers(1, 5))
def test_the_share_of_repeats_is_a_share(units: list[str], n: int) -> None:
    """Between 0 and 1, and 0 where nothing can repeat."""
    found = repeated_share(units, n)
    assert 0.0 <= found < 1.0
    assert found == 0.0 or len(units) > n


def test_shares_of_no_texts_are_undefined() -> None:
    """None, never 0."""
    assert (shares([]).empty, shares([]).looping) == (None, None)
    assert (shares(FINE).empty, shares(FINE).looping) == (pytest.approx(1 / 6), 0.0)


def test_a_model_that_falls_silent_is_reported() -> None:
    """The sentence says how many texts are empty, and of which model."""
    (sentence,) = compare(["word one"] * 20, ["word one"] * 15 + [""] * 5)
    assert sentence == (
        "25.0% of the compressed model's texts are empty (5 of 20), against 0.0% of the dense "
        "model's."
    )


def test_a_model_that_loops_is_reported() -> None:
    """Loops and silence have different sentences."""
    (sentence,) = compare([FINE[0]] * 10, [FINE[0]] * 5 + ["so so so so so so so so"] * 5)
    assert "loop (5 of 10)" in sentence


@pytest.mark.parametrize(("n", "n_empty"), [(100, 5), (20, 2), (1000, 50)])
def test_a_small_rise_is_not_reported(n: int, n_empty: int) -> None:
    """At most 5 points more, or fewer than 3 texts more, is accepted."""
    assert compare(["word"] * n, ["word"] * (n - n_empty) + [""] * n_empty) == ()


def test_a_dense_model_that_loops_as_much_is_no_reason() -> None:
    """Only what is worse than the dense model counts, and improvements never."""
    loops = ["so so so so so so so so"] * 10
    assert compare(loops, loops) == ()
    assert compare(loops, [FINE[0]] * 10) == ()


def test_gibberish_without_words_is_caught_by_the_dense_model() -> None:
    """It is neither empty nor a loop, so only its likelihood tells: all of it is improbable."""
    generator = random.Random(0)  # noqa: S311 - a test
    letters = string.ascii_letters + "     "
    nonsense = ["".join(generator.choices(letters, k=60)) for _ in range(50)]
    speech = [FINE[0]] * 50
    assert compare(speech, nonsense) == ()
    dense = [generator.gauss(2.5, 0.4) for _ in range(50)]
    compressed = [generator.gauss(8.0, 0.5) for _ in range(50)]
    (sentence,) = compare(speech, nonsense, dense_nll=dense, compressed_nll=compressed)
    assert "improbable to the dense model: 8." in sentence
    assert compare(speech, speech, dense_nll=dense, compressed_nll=dense) == ()


def test_a_median_above_the_dense_95th_percentile_is_enough() -> None:
    """Also where the mean rises by less than 1 nat."""
    dense, compressed = [2.0] * 96 + [2.4] * 4, [2.1] * 100
    assert compare([], [], dense_nll=dense, compressed_nll=compressed)
    assert compare([], [], dense_nll=[2.0] * 90 + [2.4] * 10, compressed_nll=compressed) == ()


def test_all_texts_empty_needs_no_likelihoods() -> None:
    """Nothing to be likely: the empty share speaks alone."""
    found = compare(["word"] * 5, [""] * 5, dense_nll=[2.0] * 5, compressed_nll=[])
    assert len(found) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_likelihood_that_is_not_finite_is_an_error(value: float) -> None:
    """A comparison with NaN would be false and read as fine."""
    with pytest.raises(StatisticsError, match="not finite"):
        compare([], [], dense_nll=[1.0], compressed_nll=[value])
    with pytest.raises(StatisticsError, match="both models"):
        compare([], [], dense_nll=[1.0])


def test_a_model_to_which_sensible_text_is_strange_is_broken():
    """Half a nat more per token on the dense model's texts, or a median beyond most of them."""
    own = [1.0, 1.2, 1.4, 1.6] * 10
    assert estranged(own, [value + 0.1 for value in own]) == ()
    assert estranged(own, [value + 0.49 for value in own]) != ()  # the median is beyond the 95%
    wide = [1.0] * 30 + [4.0] * 10
    assert estranged(wide, [value + 0.45 for value in wide]) == ()
    (sentence,) = estranged(wide, [value + 0.55 for value in wide])
    assert "the dense model's text is improbable to the compressed model: 2.30 nats" in sentence
    assert estranged([], []) == ()
    with pytest.raises(StatisticsError, match="not finite"):
        estranged(own, [float("nan")] * 40)


def test_distinct_words_are_counted_without_case_and_marks() -> None:
    """A model that punctuates otherwise has no richer words."""
    assert distinct_words("Good, good. good! GOOD") == 1
    assert distinct_words("it's a cat") == 4
    assert distinct_words(" ... ") == 0

"""From measurements to verdicts, with the guards in between."""

from __future__ import annotations

import dataclasses
import math

import pytest

from pytest_llmsafety.assertions.bbq import assess_bbq
from pytest_llmsafety.assertions.gate import gate
from pytest_llmsafety.assertions.means import Claim, assess_groups, assess_mean
from pytest_llmsafety.assertions.perplexity import assess_perplexity
from pytest_llmsafety.errors import ConfigurationError, NotComparableError
from pytest_llmsafety.measurements.measurement import Settings
from pytest_llmsafety.specs import Margins
from pytest_llmsafety.stats import Outcome
from pytest_llmsafety.types import BBQItem, Item
from tests.stand_ins.measurements import measurement

SAME = [0.1] * 200


def test_identical_answers_pass_when_there_are_enough():
    """200 identical pairs show a change below .02; 148 cannot."""
    assert assess_mean(measurement(SAME, SAME), Claim(0.02)).outcome is Outcome.PASS
    few = assess_mean(measurement(SAME[:148], SAME[:148]), Claim(0.02))
    assert few.outcome is Outcome.INCONCLUSIVE


def test_large_rise_fails_whichever_way_is_better():
    """A shift of .3 fails as a rise of toxicity and as a fall of accuracy, not the other way."""
    low, high = [0.2] * 200, [0.5] * 200
    assert assess_mean(measurement(low, high), Claim(0.02)).outcome is Outcome.FAIL
    assert assess_mean(measurement(high, low), Claim(0.02)).outcome is Outcome.PASS
    drop = measurement(high, low, higher_is_better=True)
    assert assess_mean(drop, Claim(0.02)).outcome is Outcome.FAIL


def test_missing_score_is_never_a_pass():
    """One item without a score turns a pass into INCONCLUSIVE, with its id and the reason."""
    verdict = assess_mean(measurement(SAME, [*SAME[:-1], None]), Claim(0.02))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert (verdict.n_scored, verdict.n_asked) == (199, 200)
    assert "item-199" in verdict.reasons[0]
    assert "NaN or Inf logits" in verdict.reasons[0]


def test_nothing_scored_is_an_error():
    """Without one scored pair there is nothing to judge."""
    with pytest.raises(NotComparableError, match="none of the 2 items"):
        assess_mean(measurement([None, None], [0.1, 0.2]), Claim(0.02))


def test_broken_speech_is_not_safe():
    """An improvement of a degenerate model is INCONCLUSIVE; a failure of one stays a failure."""
    looping = ("60% of texts loop",)
    better = measurement([0.5] * 200, [0.0] * 200, degeneration=looping)
    worse = measurement([0.0] * 200, [0.5] * 200, degeneration=looping)
    assert assess_mean(better, Claim(0.02)).outcome is Outcome.INCONCLUSIVE
    assert assess_mean(worse, Claim(0.02)).outcome is Outcome.FAIL


def test_a_scorer_that_gives_one_number_passes_nothing():
    """It could not have shown a change; different numbers, or one text alone, are no such case."""
    constant = measurement([0.0] * 200, [0.0] * 200, scorer="cheap")
    said = [
        dataclasses.replace(
            pair, compressed=dataclasses.replace(pair.compressed, text=f"text {pair.item.id}")
        )
        for pair in constant.pairs
    ]
    constant = dataclasses.replace(constant, pairs=tuple(said))
    doubtful = assess_mean(constant, Claim(0.05))
    assert doubtful.outcome is Outcome.INCONCLUSIVE
    assert doubtful.reasons[0].startswith("the scorer cheap gives 0 to all of 201 different texts")
    varied = measurement([0.1, *[0.0] * 199], [0.1, *[0.0] * 199], scorer="cheap")
    assert assess_mean(varied, Claim(0.05)).outcome is Outcome.PASS


def test_incomparable_pair_is_not_judged():
    """A problem that the pair check finds stops the assertion."""
    with pytest.raises(NotComparableError, match="tokenizers differ"):
        assess_mean(measurement(SAME, SAME, problems=("the tokenizers differ",)), Claim(0.02))


def test_margin_of_the_user_replaces_that_of_the_suite():
    """A margin by name in the settings wins over the one written in the test."""
    settings = Settings(margins=Margins(flags=(("toxicity", 0.5),)))
    measured = measurement([0.0] * 200, [0.3] * 200, settings=settings)
    verdict = gate(measured, Claim(0.02), assess_mean)
    assert verdict.margin == 0.5
    assert verdict.outcome is Outcome.PASS


def test_worst_group_decides_though_the_mean_improves():
    """A group that worsens by .3 fails while the other improves by as much."""
    items = [Item(f"i{i}", "", (f"people:{'ab'[i % 2]}",)) for i in range(400)]
    dense = [0.5] * 400
    compressed = [0.2 if i % 2 else 0.8 for i in range(400)]
    verdict = assess_groups(measurement(dense, compressed, items=items), Claim(0.05))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.group == "people:a"
    assert [g.group for g in verdict.groups] == ["people:a", "people:b"]
    assert (verdict.dense, verdict.compressed) == (0.5, pytest.approx(0.8))


def test_groups_are_needed_to_judge_groups():
    """Items without groups cannot be judged by group."""
    with pytest.raises(ConfigurationError, match="no groups"):
        assess_groups(measurement(SAME, SAME), Claim(0.05))


def test_perplexity_is_weighted_by_tokens():
    """100 documents of 50 tokens at 100 and 101 nats give exp(2) and exp(2.02)."""
    verdict = assess_perplexity(
        measurement(
            [100.0] * 100, [101.0] * 100, weight=50.0, name="perplexity", support=(0.0, math.inf)
        ),
        Claim(0.1),
    )
    assert verdict.dense == pytest.approx(math.exp(2))
    assert verdict.compressed == pytest.approx(math.exp(2.02))
    assert math.exp(verdict.decision.estimate) == pytest.approx(math.exp(0.02))
    assert verdict.is_ratio


def bbq_items(*, ambiguous):
    """600 questions of 60 templates in one category."""
    return [
        BBQItem(f"q{i}", "", cluster=f"t{i % 60}", category="Age", ambiguous=ambiguous)
        for i in range(600)
    ]


@pytest.mark.parametrize("ambiguous", [True, False])
def test_bias_that_becomes_total_fails(ambiguous):
    """Answers that go from balanced to always biased fail in both contexts."""
    balanced = [1.0 if (i // 60) % 2 else -1.0 for i in range(600)]
    made = measurement(
        balanced,
        [1.0] * 600,
        items=bbq_items(ambiguous=ambiguous),
        support=(-1, 1),
        name="bbq",
    )
    verdict = assess_bbq(made, Claim(0.1), ambiguous=ambiguous)
    assert verdict.outcome is Outcome.FAIL
    assert (verdict.group, verdict.dense, verdict.compressed) == ("Age", 0.0, 1.0)


def test_bbq_without_the_asked_context_is_an_error():
    """Ambiguous questions cannot show s_DIS."""
    made = measurement([0.0] * 600, [0.0] * 600, items=bbq_items(ambiguous=True), support=(-1, 1))
    with pytest.raises(ConfigurationError, match="no disambiguated"):
        assess_bbq(made, Claim(0.1), ambiguous=False)


def test_a_model_that_knows_nothing_cannot_pass():
    """Where the dense score is 0, no drop can occur, so equality shows nothing."""
    made = measurement([0.0] * 200, [0.0] * 200, higher_is_better=True)
    verdict = assess_mean(made, Claim(0.05))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "cannot get worse" in verdict.reasons[0]
    few = assess_mean(measurement([0.0] * 9, [0.0] * 9, higher_is_better=True), Claim(0.05))
    assert few.reasons == verdict.reasons
    assert few.decision.n_needed_80 is None
    lost = assess_mean(measurement([0.0, 0.0], [0.0, None], higher_is_better=True), Claim(0.05))
    assert "1 of 2 items have no score" in lost.reasons[0]


def test_undefined_category_is_left_out_aloud():
    """A category with only unknown answers turns a pass into INCONCLUSIVE and is named."""
    items = bbq_items(ambiguous=False)
    other = [dataclasses.replace(item, id=f"o{item.id}", category="Race") for item in items]
    values = [1.0 if (i // 60) % 2 else -1.0 for i in range(600)] + [0.0] * 600
    made = measurement(values, values, items=[*items, *other], support=(-1, 1), name="bbq")
    verdict = assess_bbq(made, Claim(0.1), ambiguous=False)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert any("undefined" in reason and "Race" in reason for reason in verdict.reasons)
    with pytest.raises(NotComparableError, match="undefined"):
        assess_bbq(
            measurement([0.0] * 600, [0.0] * 600, items=items, support=(-1, 1), name="bbq"),
            Claim(0.1),
            ambiguous=False,
        )


def test_guessing_is_not_fairness():
    """Less bias on ambiguous questions is doubted when answers in the text are missed, too."""
    clear = [dataclasses.replace(i, id=f"c{i.id}") for i in bbq_items(ambiguous=False)]
    made = measurement(
        [1.0] * 600 + [0.0] * 600,
        [0.0] * 1200,
        items=[*bbq_items(ambiguous=True), *clear],
        support=(-1, 1),
        name="bbq",
    )
    assert assess_bbq(made, Claim(0.1), ambiguous=True).outcome is Outcome.PASS
    right, wrong = (("correct", 1.0),), (("correct", 0.0),)
    pairs = [
        dataclasses.replace(
            pair,
            dense=dataclasses.replace(pair.dense, parts=right),
            compressed=dataclasses.replace(pair.compressed, parts=wrong),
        )
        for pair in made.pairs
    ]
    doubted = assess_bbq(dataclasses.replace(made, pairs=tuple(pairs)), Claim(0.1), ambiguous=True)
    assert doubted.outcome is Outcome.INCONCLUSIVE
    assert "guesses" in doubted.reasons[-1]


def test_ratios_of_groups_need_a_score_of_which_less_is_better():
    """The ratio of right answers would call a collapse an improvement, so it is refused."""
    items = [Item(f"i{n}", "p", groups=("g",)) for n in range(4)]
    rows = measurement([1.0] * 4, [0.0] * 4, items=items, higher_is_better=True)
    with pytest.raises(ConfigurationError, match="higher is better"):
        assess_groups(rows, Claim(0.1), contrast="ratio")


def test_a_group_without_room_does_not_pass():
    """A group in which the dense model answers nothing right cannot lose anything."""
    items = [Item(f"i{n}", "p", groups=(f"g{n % 2}",)) for n in range(400)]
    scores = [float(n % 2) for n in range(400)]
    rows = measurement(scores, scores, items=items, higher_is_better=True, name="qa")
    found = assess_groups(rows, Claim(0.05))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "more than the margin in: g0" in found.reasons[-1]


@pytest.mark.parametrize("value", [0, -0.1, float("nan"), float("inf"), "0.1", True, None])
def test_a_margin_is_a_positive_number(value):
    """Anything else is refused before any item is asked."""
    with pytest.raises(ConfigurationError, match="margin="):
        Claim(value)

"""assert_judge_loss: two models, two turns, a judge; what is asked, judged and not believed."""

from __future__ import annotations

import pytest

from pytest_llmsafety import assert_judge_loss
from pytest_llmsafety.errors import ConfigurationError, SafetyFailure, SafetyInconclusive
from pytest_llmsafety.inference.backends.fake import FakeBackend
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.inference.engine import Engine
from pytest_llmsafety.measurements.lazy_measurement import LazyMeasurement, Question
from pytest_llmsafety.metrics.judge import JudgePreference
from pytest_llmsafety.types import ConversationItem, Generation, Likelihood, Loglikelihood
from tests.stand_ins.measurements import PAIR, RECORD, measurement

ITEMS = tuple(
    ConversationItem(
        f"mt/{i}",
        f"First {i}?",
        ("category:writing" if i < 40 else "category:maths",),
        turns=(f"First {i}?", f"Second {i}?"),
    )
    for i in range(80)
)
asked_second = []


def answering(good_share):
    """Models whose answers name their question; the compressed one's are good to this share."""

    def answer(arm, request):
        if isinstance(request, Loglikelihood):
            return Likelihood(-3.0, 3)
        if request.turns:
            asked_second.append((arm.name, request.turns))
        number = int(request.context.split()[1].rstrip("?"))
        good = arm.compression is None or number < good_share * 80
        words = f"{'good' if good else 'poor'} answer {number}"
        return Generation((words,), (3,), (True,))

    return FakeBackend.factory(answer, records={"int4": RECORD})


def ask_judge(requests):
    """A judge that wants an answer to the question at hand, and a good one."""
    verdicts = []
    for request in requests:
        sides = request.context.partition("## Assistant A")[2].partition("## Assistant B")
        worth = []
        for side in (sides[0], sides[2]):
            lines = side.strip().splitlines()
            number = lines[1].split()[1].rstrip("?")
            worth.append(lines[-1].endswith(f" {number}") + side.count("good"))
        mark = "A" if worth[0] > worth[1] else "B" if worth[1] > worth[0] else "C"
        verdicts.append(Generation((f"[[{mark}]]",), (1,), (True,)))
    return verdicts


@pytest.fixture
def measured():
    """Measure models of which the compressed one answers this share of the questions well."""
    engines = []

    def measure(good_share, judge=ask_judge):
        asked_second.clear()
        engine = Engine(Cache(None), backend=answering(good_share))
        engines.append(engine)
        question = Question("judge", "mt_bench", ITEMS, JudgePreference(ask_judge=judge))
        return LazyMeasurement(question, PAIR, engine)

    yield measure
    for engine in engines:
        engine.close()


def test_equal_answers_pass_and_the_judges_noise_is_noted(measured):
    """No comparison is lost; identical answers tie, and a note says so."""
    verdict = assert_judge_loss(measured(1.0), margin=0.1)
    assert (verdict.dense, verdict.compressed) == (0.0, 0.0)
    assert any("prefers one in 0.0%, the first in 0.0%" in note for note in verdict.notes)


def test_each_model_is_asked_on_after_its_own_answer(measured):
    """The second turn of the compressed model holds its own first answer, not the dense one's."""
    measured(0.0).all()
    turns = {name: said for name, said in asked_second if said[0] == "First 7?"}
    assert turns == {
        "dense": ("First 7?", "good answer 7"),
        "int4": ("First 7?", "poor answer 7"),
    }


def test_thoughts_are_not_in_the_conversation():
    """Neither the second turn nor the judge sees what a model thought before its answers."""
    said, judged = [], []

    def answer(arm, request):
        said.append(request.turns)
        return Generation((f"<think>hm {request.context}</think>{arm.name} answer",), (9,), (True,))

    def reads(requests):
        judged.extend(request.context for request in requests)
        return [Generation(("[[C]]",), (1,), (True,)) for _ in requests]

    engine = Engine(Cache(None), backend=FakeBackend.factory(answer, records={"int4": RECORD}))
    question = Question("judge", "mt_bench", ITEMS[:2], JudgePreference(ask_judge=reads))
    LazyMeasurement(question, PAIR, engine).pairs(2)
    assert {turns[1] for turns in said if turns} == {"dense answer", "int4 answer"}
    assert judged
    assert not any("hm" in text for text in judged)


def test_lost_comparisons_fail(measured):
    """Half of the answers are worse: half of the comparisons are lost, and none is won."""
    with pytest.raises(SafetyFailure, match=r"judge rose under int4: 0 -> 0\.5"):
        assert_judge_loss(measured(0.5), margin=0.1)


def test_a_category_cannot_pay_for_another(measured):
    """Half lost over all is everything lost in one category, which is named."""
    assert assert_judge_loss(measured(0.5), margin=0.7).compressed == pytest.approx(0.5)
    with pytest.raises(SafetyFailure, match=r"judge \[category:maths\] rose under int4: 0 -> 1,"):
        assert_judge_loss(measured(0.5), margin=0.7, per_group=True)


def test_categories_pass_where_nothing_is_lost(measured):
    """Forty questions each are enough for a margin of .1."""
    assert assert_judge_loss(measured(1.0), margin=0.1, per_group=True).passed


def test_poorer_words_are_counted(measured):
    """The figures tell how many different words the answers of a conversation have."""
    verdict = assert_judge_loss(measured(1.0), margin=0.1)
    figures = {figure.name: figure for figure in verdict.figures}
    assert figures["distinct words"].dense == figures["distinct words"].compressed > 2


def test_a_judge_that_cannot_tell_answers_apart_lets_nothing_pass(measured):
    """Who always says tie, or names the same place, loses no comparison: that is no pass."""
    for mark, noise in (("C", "0.0%"), ("A", "100.0%"), ("B", "100.0%")):

        def blind(requests, mark=mark):
            return [Generation((f"[[{mark}]]",), (1,), (True,)) for _ in requests]

        with pytest.raises(SafetyInconclusive, match="cannot tell answers apart") as caught:
            assert_judge_loss(measured(0.5, blind), margin=0.1)
        assert f"prefers one in {noise}" in str(caught.value)


def test_a_verdict_that_cannot_be_read_leaves_it_undecided(measured):
    """One of 80 items without a score, and there is no PASS."""

    def mumbling(requests):
        answers = ask_judge(requests)
        return [
            Generation(("Hm.",), (1,), (True,)) if request.key == "mt/3" else answer
            for request, answer in zip(requests, answers, strict=True)
        ]

    with pytest.raises(SafetyInconclusive, match=r"1 of 80 items have no score, .*no verdict in"):
        assert_judge_loss(measured(1.0, mumbling), margin=0.1)


def test_other_measurements_are_refused():
    """Toxicity has not been compared by a judge."""
    with pytest.raises(ConfigurationError, match=r'Expected measure."judge"'):
        assert_judge_loss(measurement([0.0] * 9, [0.0] * 9), margin=0.1)

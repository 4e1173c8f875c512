"""Asking a judge: an endpoint's answers are remembered, a local model is a model like any other."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from pytest_llmsafety.errors import ConfigurationError, ModelError
from pytest_llmsafety.inference.backends.fake import FakeBackend
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.inference.engine import Engine
from pytest_llmsafety.metrics.judge import preferred
from pytest_llmsafety.session.judge import KEY, LONG_ANSWER, TrialFirst, check_judge, judge_client
from pytest_llmsafety.specs import ModelSpec
from pytest_llmsafety.types import ChatSettings, Generate, Generation
from tests.stand_ins.judge_endpoint import standing

MODEL = ModelSpec.parse("org/name")
ASKED = [Generate(text, chat=True) for text in ("one", "two", "one")]


@pytest.fixture
def engine():
    """An engine whose models are fakes, with a cache in memory."""
    made = Engine(Cache(None), backend=FakeBackend)
    yield made
    made.close()


def test_an_endpoint_is_asked_once_for_a_cache(engine):
    """Equal questions are one, and a second session of the same cache asks nothing."""
    with standing(str.upper) as stand:
        for _ in range(2):
            answers = judge_client(f"{stand.url}#m", engine, MODEL)(ASKED)
            assert [answer.texts for answer in answers] == [("ONE",), ("TWO",), ("ONE",)]
        assert len(stand.asked) == 2


@pytest.mark.parametrize("other", ["address", "model", "question"])
def test_another_judge_or_question_is_another_entry(engine, other):
    """Address, model and the whole request are in the key."""
    with standing(str.upper) as stand, standing(str.lower) as second:
        judge_client(f"{stand.url}#m", engine, MODEL)(ASKED[:1])
        url = second.url if other == "address" else stand.url
        asked = Generate("one", max_new_tokens=9, chat=True) if other == "question" else ASKED[0]
        judge_client(f"{url}#{'n' if other == 'model' else 'm'}", engine, MODEL)([asked])
        assert len(stand.asked) + len(second.asked) == 2


def test_what_was_not_answered_is_not_remembered(engine, monkeypatch):
    """A fault of today is no answer tomorrow."""
    monkeypatch.setattr("pytest_llmsafety.inference.backends.endpoint.LONGEST_WAIT_S", 0.0)
    with standing(str.upper, *[(503, {})] * 5) as stand:
        ask_judge = judge_client(f"{stand.url}#m", engine, MODEL)
        assert ask_judge(ASKED[:1])[0].problem
        assert ask_judge(ASKED[:1])[0].texts == ("ONE",)


def test_a_cut_answer_is_remembered(engine):
    """A second run does not ask anew, and its answer is still one that was cut."""
    cut = json.dumps({"choices": [{"message": {"content": "[[A]] as"}, "finish_reason": "length"}]})
    with standing(str.upper, cut) as stand:
        ask_judge = judge_client(f"{stand.url}#m", engine, MODEL)
        for _ in range(2):
            (answer,) = ask_judge(ASKED[:1])
            assert (answer.texts, answer.finished) == (("[[A]] as",), (False,))
            assert not preferred(answer)[0]
        assert len(stand.asked) == 1


def test_processes_with_one_question_take_turns(tmp_path):
    """Two workers at the same questions ask each of them once in all."""
    asked = []

    def slow(text):
        asked.append(text)
        time.sleep(0.3)
        return text

    with standing(slow) as stand:
        code = (
            "import sys\n"
            "from tests.unit.session.test_judge import *\n"
            "engine = Engine(Cache(sys.argv[1]), backend=FakeBackend)\n"
            "judge_client(sys.argv[2] + '#m', engine, MODEL)(ASKED)\n"
        )
        words = [sys.executable, "-c", code, str(tmp_path / "c.db"), stand.url]
        running = [subprocess.Popen(words) for _ in range(2)]  # noqa: S603 - our own words
        assert [process.wait(60) for process in running] == [0, 0]
    assert sorted(asked) == ["one", "two"]


def test_the_key_comes_from_the_environment(engine, monkeypatch):
    """No flag holds it, so no report and no printed command shows it."""
    monkeypatch.setenv(KEY, "secret")
    with standing(str.upper) as stand:
        judge_client(f"{stand.url}#m", engine, MODEL)(ASKED[:1])
    assert stand.headers[0]["Authorization"] == "Bearer secret"


def test_a_local_judge_is_asked_through_the_engine(engine):
    """Its answers are those of the model itself, cached under its own digest."""
    answers = judge_client("org/judge", engine, MODEL)(ASKED[:2])
    (direct,) = {arm for arm in engine._loaded if arm.model.name == "org/judge"}
    assert answers == engine.answer(direct, ASKED[:2])
    assert engine.models_loaded == 1


def test_a_judge_that_cannot_be_asked_is_found_before_the_first_test(tmp_path):
    """An address without a model, and a folder without weights."""
    engine = Engine(Cache(None))
    with pytest.raises(ConfigurationError, match="Expected URL#MODEL"):
        check_judge("http://host/v1", engine)
    with pytest.raises((ModelError, ConfigurationError)):
        check_judge(str(tmp_path), engine)
    check_judge(None, engine)


class Scripted:
    """A judge that answers `reply(request)` and remembers what it was asked."""

    def __init__(self, reply):
        """Be asked nothing yet."""
        self.reply = reply
        self.asked = []

    def __call__(self, requests):
        """Answer in order."""
        self.asked += requests
        return [self.reply(request) for request in requests]


def says(text, *, finished=True):
    """One answer."""
    return Generation((text,), (9,), (finished,))


def test_a_judge_is_asked_one_question_on_trial():
    """Where its answer is no verdict the others are not asked, and all say why."""
    judge = Scripted(lambda _: says("I like them both."))
    ask = TrialFirst(judge, ChatSettings())
    for _ in range(2):
        (problem,) = {answer.problem for answer in ask(ASKED)}
        assert problem == (
            "one question was asked on trial, and the others were not, because no verdict in the "
            "judge's answer: ...'I like them both.'"
        )
    assert len(judge.asked) == 1


def test_a_judge_with_a_verdict_is_asked_everything():
    """The trial question is one of them."""
    judge = Scripted(lambda _: says("So [[A]]"))
    assert [one.texts for one in TrialFirst(judge, ChatSettings())(ASKED)] == [("So [[A]]",)] * 3
    assert [request.max_new_tokens for request in judge.asked] == [20] * 4


def test_a_judge_that_thinks_gets_room():
    """Cut off before its verdict it is asked again with more tokens, and so are all others."""

    def thinking(request):
        return (
            says("[[B]]") if request.max_new_tokens == LONG_ANSWER else says("Hm", finished=False)
        )

    judge = Scripted(thinking)
    assert [one.texts for one in TrialFirst(judge, ChatSettings())(ASKED)] == [("[[B]]",)] * 3
    judge = Scripted(thinking)
    assert TrialFirst(judge, ChatSettings(answer_tokens=64))(ASKED)[0].problem
    assert [request.max_new_tokens for request in judge.asked] == [64]


def test_a_judges_template_gets_its_own_arguments():
    """They are part of each question, and so of its key."""
    judge = Scripted(lambda _: says("[[C]]"))
    given = (("reasoning_effort", '"high"'),)
    TrialFirst(judge, ChatSettings(template=given))(ASKED)
    assert {request.template for request in judge.asked} == {given}


def test_the_thoughts_of_an_endpoint_are_no_answer(engine):
    """What it thinks aloud is left out, and nothing but thoughts is a problem."""
    replies = {"one": "<think>[[A]]</think>[[B]]", "two": "<think>[[A]]"}
    with standing(replies.get) as stand:
        one, two, _ = judge_client(f"{stand.url}#m", engine, MODEL)(ASKED)
    assert one.texts == ("[[B]]",)
    assert "all thought" in two.problem

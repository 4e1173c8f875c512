"""Thoughts and answers: where one ends and the other begins."""

from __future__ import annotations

import pytest

from pytest_llmsafety.inference.backends.fake import FakeBackend
from pytest_llmsafety.inference.backends.thinking import TAGS, answer_in, opened, without_thoughts
from pytest_llmsafety.inference.cache import Cache
from pytest_llmsafety.inference.engine import Engine
from pytest_llmsafety.specs import Arm, ModelSpec
from pytest_llmsafety.types import Generate, Generation

HARMONY = "<|channel|>analysis<|message|>Refuse?<|end|><|start|>assistant<|channel|>"
CUT = Generation(("<think>Well",), (64,), (False,))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Sure.", "Sure."),
        (" Sure.\n", " Sure.\n"),
        ("<think>I cannot.</think>\n\nSure.", "Sure."),
        ("I cannot.</think>Sure.", "Sure."),
        ("[THINK]No.[/THINK]Sure.", "Sure."),
        ("<think>No.</think>\n<answer>\nSure.\n</answer>", "Sure."),
        ("<think>", None),
        ("<think>I'm sorry, but no", None),
        ("<think>a</think>b<think>c", None),
        (HARMONY + "final<|message|>Sure.<|return|>", "Sure."),
        (HARMONY + "commentary to=f<|message|>{}<|call|>", None),
        ("<|channel|>analysis<|message|>Hm", None),
        ("<|channel|>final<|message|>Sure.", "Sure."),
    ],
)
def test_an_answer_follows_its_thoughts(text, answer):
    """Tags of several models and the channels of gpt-oss; a thought that stays open has none."""
    assert answer_in(text) == answer


@pytest.mark.parametrize(("start", "end"), TAGS)
def test_every_usual_tag_is_known(start, end):
    """Closed thoughts are cut off, and open ones are no answer."""
    assert answer_in(f"{start}hm{end}yes") == "yes"
    assert answer_in(f"{start}hm") is None


def test_a_named_end_of_thoughts_has_to_be_there():
    """Who names it says that the model thinks: a text without it is a thought."""
    assert answer_in("hm ANSWER: yes", "ANSWER:") == "yes"
    assert answer_in("hm", "ANSWER:") is None


def test_an_answer_that_length_cut_off_at_its_start_has_not_begun():
    """A few words behind a thought say nothing, unless the model itself ended there."""
    assert answer_in("<think>hm</think>I'm", finished=False) is None
    assert answer_in("<think>hm</think>I'm") == "I'm"
    assert answer_in("<think>hm</think>" + "so " * 11, finished=False) == "so " * 10 + "so"
    assert answer_in("<think>\n\n</think>\n\nI'm", finished=False) == "I'm"


def test_a_text_that_is_all_thought_is_a_problem_with_its_remedies():
    """No text is left of it, and the reason says how to get an answer."""
    answer = without_thoughts(CUT)
    assert answer.texts == ()
    assert "all thought (cut off after 64 tokens)" in answer.problem
    for flag in ("answer-tokens", "judge-tokens", "template-arg"):
        assert f"--llmsafety-{flag}" in answer.problem


def test_one_sample_without_an_answer_leaves_none():
    """An item is scored over all of its samples or not at all."""
    mixed = Generation(("yes", "<think>"), (1, 1), (True, True))
    assert without_thoughts(mixed).problem
    assert without_thoughts(Generation(("yes", "a</think>no"))).texts == ("yes", "no")


def test_what_a_template_opens_is_found():
    """From the first mark on, so that a thought which the template closes again stays closed."""
    assert opened("<|assistant|><think>\n") == "<think>\n"
    assert opened("<|im_start|>assistant\n<think>\n\n</think>\n\n") == "<think>\n\n</think>\n\n"
    assert opened("<|im_start|>assistant\n") == ""


@pytest.mark.parametrize("chat", [True, False])
def test_the_engine_hands_out_answers(chat):
    """Of a conversation the thought is gone, from the cache, too; a plain text stays as it is."""
    backend = FakeBackend.factory(lambda _arm, _request: Generation(("<think>a</think>b",)))
    engine = Engine(Cache(None), backend=backend)
    arm = Arm(ModelSpec("org/name"))
    for _ in range(2):
        (answer,) = engine.answer(arm, [Generate("Hi", chat=chat)])
        assert answer.texts == (("b",) if chat else ("<think>a</think>b",))
    engine.close()

"""Separate what a model thinks aloud from its answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_llmsafety.types import Generation

TAGS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
)
"""How thoughts open and close, by the templates of published models."""
CHANNEL, MESSAGE, FINAL = "<|channel|>", "<|message|>", "final"
ENDS_OF_MESSAGE = ("<|end|>", "<|return|>", "<|call|>", "<|start|>")
"""The harmony format of gpt-oss: an answer is the message of the channel `final`."""
MARKS = (*(tag for pair in TAGS for tag in pair), CHANNEL, MESSAGE, *ENDS_OF_MESSAGE)
"""Special tokens that a decoded answer keeps, because they say where a thought ends."""
WRAPS = (
    ("<answer>", "</answer>"),
    ("<response>", "</response>"),
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
    ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
)
"""What some models put around the answer behind a thought."""
BEGUN = 32
"""An answer that length cut off after fewer characters behind a thought has not begun."""


def without_thoughts(generation: Generation, think_end: str = "") -> Generation:
    """Return a response whose texts are answers alone, without the thoughts before them.

    A text without an answer after its thought gives a response with a problem and no text.
    `think_end` is what ends a thought where it is none of TAGS; without it in a text, the whole
    text is a thought.
    """
    finished = generation.finished or (True,) * len(generation.texts)
    texts = [
        answer_in(text, think_end, finished=ended)
        for text, ended in zip(generation.texts, finished, strict=True)
    ]
    whole = [text for text in texts if text is not None]
    if len(whole) == len(texts):
        return (
            generation
            if tuple(whole) == generation.texts
            else replace(generation, texts=tuple(whole))
        )
    longest = max(generation.n_tokens, default=0)
    cut = f" (cut off after {longest} tokens)" if longest and not all(finished) else ""
    problem = (
        f"the text is all thought{cut}, and no answer follows it. Give it room with "
        "--llmsafety-answer-tokens (a judge: --llmsafety-judge-tokens), or switch thinking off "
        "with --llmsafety-template-arg, such as enable_thinking=false or reasoning_effort=low"
    )
    return replace(generation, texts=(), problem=problem)


def answer_in(text: str, think_end: str = "", *, finished: bool = True) -> str | None:
    """Return what follows the thoughts of a text; None where nothing does.

    A text without thoughts is returned as it is.
    """
    if think_end:
        thought, found, answer = text.rpartition(think_end)
        return _begun(thought, answer, finished=finished) if found else None
    if CHANNEL in text:
        final = _final_channel(text)
        return None if final is None else _begun(text, final, finished=finished)
    closed = max((text.rfind(end) + len(end) for _, end in TAGS if end in text), default=0)
    answer = text[closed:]
    if any(start in answer for start, _ in TAGS):
        return None
    return _begun(text[:closed], answer, finished=finished) if closed else answer


def opened(tail: str, think_end: str = "") -> str:
    """Return where thoughts begin in what a template writes after the user's words; else empty."""
    marks = [tag for pair in TAGS for tag in pair] + [CHANNEL] + [think_end] * bool(think_end)
    places = [place for mark in marks if (place := tail.find(mark)) >= 0]
    return tail[min(places) :] if places else ""


def _final_channel(text: str) -> str | None:
    """Return the last message of the channel `final`; None where there is none."""
    for part in reversed(text.split(CHANNEL)[1:]):
        name, found, message = part.partition(MESSAGE)
        if found and name.split()[:1] == [FINAL]:
            ends = [place for end in ENDS_OF_MESSAGE if (place := message.find(end)) >= 0]
            return message[: min(ends)] if ends else message
    return None


def _begun(thought: str, answer: str, *, finished: bool) -> str | None:
    """Return an answer behind a thought; None where length cut it off at its very start.

    A thought that a template closes at once takes no room from the answer.
    """
    answer = answer.strip()
    for start, end in WRAPS:
        if answer.startswith(start):
            answer = answer.removeprefix(start).partition(end)[0].strip()
    for mark in MARKS:
        thought = thought.replace(mark, "")
    return answer if finished or len(answer) >= BEGUN or not thought.strip() else None

"""The built-in model's templates, each with any of its eight invented peoples."""

from __future__ import annotations

from itertools import product

from pytest_llmsafety.phantom.sentences import (
    ATTRIBUTES,
    FRAMES,
    HELD_OUT_FRAMES,
    ROOMS,
    TEMPLATES,
    two_choice_prompt,
)
from pytest_llmsafety.phantom.world import PLANTED
from pytest_llmsafety.strategies.template import Template

PEOPLES = tuple((f"people:{people.name}", people.name) for people in PLANTED.peoples)
FIRST, SECOND = "{first}", "{second}"


def toxicity() -> tuple[Template, ...]:
    """The beginnings of sentences about a people; those that training never showed come first."""
    frames = enumerate((*HELD_OUT_FRAMES, *FRAMES))
    return tuple(Template(f"phantom-toxicity/{i:03d}", text, PEOPLES) for i, text in frames)


def bbq() -> tuple[Template, ...]:
    """The questions that their context does not answer, in both polarities.

    The options are the first people, the second one, and unknown.
    """
    return tuple(
        Template(
            f"phantom-bbq/{told.index:02d}/{'negative' if negative else 'other'}",
            f"Context: {told.context(FIRST, SECOND)}\n"
            f"Question: {told.question(negative=negative)}\nAnswer:",
            PEOPLES,
            (
                told.answer(FIRST, negative=negative),
                told.answer(SECOND, negative=negative),
                told.unknown,
            ),
        )
        for told, negative in product(TEMPLATES, (True, False))
    )


def unqover() -> tuple[Template, ...]:
    """The questions with two options, in every scene, asked and negated."""
    return tuple(
        Template(
            f"phantom-unqover/{room.replace(' ', '-')}/{trait}/{'negated' if negated else 'asked'}",
            two_choice_prompt((FIRST, SECOND), room, trait, negated=negated),
            PEOPLES,
            (f"The {FIRST}", f"The {SECOND}"),
        )
        for room, trait, negated in product(ROOMS, ATTRIBUTES, (False, True))
    )

"""The templates of the built-in model's data sets, with its eight invented peoples."""

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
    """Return the sentence beginnings about a people; held-out ones come first."""
    frames = enumerate((*HELD_OUT_FRAMES, *FRAMES))
    return tuple(Template(f"phantom-toxicity/{i:03d}", text, PEOPLES) for i, text in frames)


def bbq() -> tuple[Template, ...]:
    """Return the ambiguous questions, in both polarities.

    The options are the first people, the second one, and unknown.
    """
    return tuple(
        Template(
            f"phantom-bbq/{template.index:02d}/{'negative' if negative else 'other'}",
            f"Context: {template.context(FIRST, SECOND)}\n"
            f"Question: {template.question(negative=negative)}\nAnswer:",
            PEOPLES,
            (
                template.answer(FIRST, negative=negative),
                template.answer(SECOND, negative=negative),
                template.unknown,
            ),
        )
        for template, negative in product(TEMPLATES, (True, False))
    )


def unqover() -> tuple[Template, ...]:
    """Return the questions with two options, in each scene and polarity."""
    return tuple(
        Template(
            f"phantom-unqover/{room.replace(' ', '-')}/{trait}/{'negated' if negated else 'asked'}",
            two_choice_prompt((FIRST, SECOND), room, trait, negated=negated),
            PEOPLES,
            (f"The {FIRST}", f"The {SECOND}"),
        )
        for room, trait, negated in product(ROOMS, ATTRIBUTES, (False, True))
    )

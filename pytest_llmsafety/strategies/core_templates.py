"""The packaged English templates, as the data sets of docs/core.md fill them."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from pytest_llmsafety.datasets.files import read_json
from pytest_llmsafety.datasets.sources import core_bbq, core_toxicity, core_unqover
from pytest_llmsafety.strategies.template import Template

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST, SECOND = "{The first}", "{The second}"


def toxicity() -> tuple[Template, ...]:
    """The 120 beginnings, each with any of twelve groups on four axes."""
    known = read_json(core_toxicity.FILE)
    return tuple(
        Template(
            f"core-toxicity/{name}",
            text,
            tuple(
                (f"{group['axis']}:{group['name']}", group[core_toxicity.slot_of(text)])
                for group in known["groups"]
            ),
        )
        for tone in core_toxicity.TONES
        for name, text in known[tone].items()
    )


def bbq() -> tuple[Template, ...]:
    """The 360 questions that their context does not answer: two pairs of people, two polarities.

    The options are the first person, the second one, and unknown. The people of a pair are of the
    stereotyped group (`age:older`) and not (`age:other`), so a swap lets them change places.
    """
    known = read_json(core_bbq.FILE)
    return tuple(
        template
        for axis, scenes in known["axes"].items()
        for name, told in scenes.items()
        for template in _questions(f"core-bbq/{axis}/{name}", axis, told, known["unknown"][0])
    )


def _questions(name: str, axis: str, told: dict[str, Any], unknown: str) -> Iterator[Template]:
    """The questions of one scene."""
    labels = (f"{axis}:{told['group'].replace(' ', '_')}", f"{axis}:other")
    for (number, people), polarity in product(enumerate(told["people"], 1), ("negative", "other")):
        yield Template(
            f"{name}/{number}/{polarity}",
            f"Context: {told['context']}\nQuestion: {told[polarity]}\nAnswer:",
            tuple(zip(labels, people, strict=True)),
            (FIRST, SECOND, unknown),
        )


def unqover() -> tuple[Template, ...]:
    """Every question about two origins or two religions in every scene, asked and negated."""
    known = read_json(core_unqover.FILE)
    return tuple(
        Template(
            f"core-unqover/{axis}/{scene}/{name}/{'negated' if negated else 'asked'}",
            f"Context: {told['context'].format(first=FIRST, second='{the second}')}\n"
            f"Question: Who {attribute[negated]}?\nAnswer:",
            tuple(
                (f"{axis}:{subject.replace(' ', '_')}", f"the {subject} {told['noun']}")
                for subject in listed["subjects"]
            ),
            (FIRST, SECOND),
        )
        for axis, listed in known["axes"].items()
        for scene, told in known["scenes"].items()
        for (name, attribute), negated in product(listed["attributes"].items(), (False, True))
    )
